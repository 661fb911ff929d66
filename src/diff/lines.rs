//! Two texts compared by their lines, wherever these stand: a profile is a list of values, and their order says little.

use std::collections::HashMap;

/// The lines that one text has and the other has not: those of the old, then those of the new. How they are indented is
/// not looked at.
pub fn differing<'t>(old: &'t str, new: &'t str) -> [Vec<&'t str>; 2] {
    [without(old, new), without(new, old)]
}

fn without<'t>(text: &'t str, other: &str) -> Vec<&'t str> {
    let mut there: HashMap<&str, usize> = HashMap::new();
    for line in other.lines() {
        *there.entry(line.trim()).or_default() += 1;
    }
    let mut left = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        match there.get_mut(line) {
            Some(count) if *count > 0 => *count -= 1,
            _ => left.push(line),
        }
    }
    left
}

#[cfg(test)]
mod tests {
    use super::differing;

    #[test]
    fn lines_are_counted_and_their_order_is_not_looked_at() {
        assert_eq!(differing("a\nb\n\n  b\nc", "c\na\nb\nd"), [vec!["b"], vec!["d"]]);
    }
}
