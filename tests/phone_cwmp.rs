//! The emulated phones of TR-069: a case per folder in `tests/golden/phone-cwmp/`, transfers with a server in memory, and whole lives
//! of phones against a real server.

mod cases;
mod life;
mod transfers;
