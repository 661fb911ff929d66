//! Paths tidied by their text alone, for messages and comparisons.

use std::path::{Component, Path, PathBuf};

/// A path without `.`, and without `..` where a folder's name stands before it. Links are not looked at.
pub fn lexical(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for component in path.components() {
        let can_step_up = matches!(tidy.components().next_back(), Some(Component::Normal(_)));
        match component {
            Component::ParentDir if can_step_up => {
                tidy.pop();
            }
            Component::ParentDir if tidy.has_root() => {}
            Component::CurDir => {}
            other => tidy.push(other),
        }
    }
    tidy
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_up_go_as_far_as_the_text_does() {
        let shown = |path: &str| lexical(Path::new(path)).display().to_string();
        assert_eq!(shown("./examples/isp/../../templates/./a"), "templates/a");
        assert_eq!(shown("../../a/../b"), "../../b");
        assert_eq!(shown("/../a"), "/a");
    }
}
