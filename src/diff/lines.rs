//! Two texts compared by their lines, wherever these stand: a profile is a list of values, and their order says little.

use std::collections::HashMap;

/// The lines that one text has and the other has not: those of the old, then those of the new. Each line is compared by
/// its first form and told by its second.
pub fn differing<'t>(old: &[(&'t str, &'t str)], new: &[(&'t str, &'t str)]) -> [Vec<(&'t str, &'t str)>; 2] {
    [without(old, new), without(new, old)]
}

fn without<'t>(lines: &[(&'t str, &'t str)], others: &[(&'t str, &'t str)]) -> Vec<(&'t str, &'t str)> {
    let mut there: HashMap<&str, usize> = HashMap::new();
    for (line, _) in others {
        *there.entry(line).or_default() += 1;
    }
    let mut left = Vec::new();
    for (line, told) in lines {
        match there.get_mut(line) {
            Some(count) if *count > 0 => *count -= 1,
            _ => left.push((*line, *told)),
        }
    }
    left
}

/// The lines of a text, each beside the same line with secrets masked. Where masking made another text of it, which a
/// template can do that looks at a secret, the masked lines stand for both.
pub fn paired<'t>(sealed: &'t str, masked: &'t str) -> Vec<(&'t str, &'t str)> {
    if sealed.lines().count() == masked.lines().count() {
        sealed.lines().zip(masked.lines()).collect()
    } else {
        masked.lines().map(|line| (line, line)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted_and_their_order_is_not_looked_at() {
        let (old, new) = (paired("a\nb\nb\nc", "a\nb\nb\nc"), paired("c\na\nb\nd", "c\na\nb\nd"));
        assert_eq!(differing(&old, &new), [vec![("b", "b")], vec![("d", "d")]]);
    }

    #[test]
    fn a_masked_line_is_told_in_the_place_of_the_sealed_one() {
        let (old, new) = (paired("key 1", "key ***"), paired("key 2", "key ***"));
        assert_eq!(differing(&old, &new), [vec![("key 1", "key ***")], vec![("key 2", "key ***")]]);
        assert_eq!(paired("1\n2", "***"), [("***", "***")]);
    }
}
