//! All targets in one program, which is built once where 30 would each be linked: `FUZZ_TARGET` names the one to run.
#![no_main]

#[path = "../targets.rs"]
mod targets;

use std::sync::OnceLock;

static TARGET: OnceLock<targets::Parser> = OnceLock::new();

libfuzzer_sys::fuzz_target!(
    init: {
        let name = std::env::var("FUZZ_TARGET").expect("FUZZ_TARGET names a target");
        let (_, target) =
            targets::TARGETS.into_iter().find(|(known, _)| *known == name).expect("fuzz/targets.rs has the target");
        targets::make_ready(&name);
        TARGET.get_or_init(|| target);
    },
    |data: &[u8]| TARGET.get().expect("it was chosen")(data)
);
