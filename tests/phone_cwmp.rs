//! The emulated phones of TR-069: a case per folder in `tests/golden/phone-cwmp/`, transfers and diagnoses with a server in
//! memory, and whole lives of phones against a real server, with connection requests, behind a NAT too.

mod asked;
mod cases;
mod diagnostics;
mod life;
mod listening;
mod nat;
mod tasks;
mod transfers;
