//! How far the check is, on stderr, and only where that is a terminal.

use std::io::IsTerminal;

use indicatif::{ProgressBar, ProgressStyle};

/// Devices below which nobody waits long enough to want a bar.
const WORTH_IT: usize = 2_000;

/// A bar that comes with the first count that is worth it.
pub struct Bar(Option<ProgressBar>);

impl Bar {
    pub fn new() -> Self {
        Self(None)
    }

    pub fn tell(&mut self, all: usize, seen: usize) {
        if self.0.is_none() && all >= WORTH_IT && std::io::stderr().is_terminal() {
            let bar = ProgressBar::new(u64::try_from(all).unwrap_or(u64::MAX));
            // A wrong template would leave indicatif's own.
            let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} devices, {eta} left");
            self.0 = Some(style.map_or_else(|_| bar.clone(), |style| bar.clone().with_style(style)));
        }
        if let Some(bar) = &self.0 {
            bar.set_position(u64::try_from(seen).unwrap_or(u64::MAX));
        }
    }

    /// Takes it off the screen.
    pub fn end(self) {
        if let Some(bar) = self.0 {
            bar.finish_and_clear();
        }
    }
}
