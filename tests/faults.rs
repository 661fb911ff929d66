//! What breaks around a server while it runs, and what becomes of it: the disk is full, the clock jumps, certificates run out, the process
//! is killed. The program itself in a process of its own, a real disk, a real clock, real signals. docs/reliability.md tells what came out.

mod certificates;
mod clock;
mod commands;
mod disk;
mod kill;
mod site;
