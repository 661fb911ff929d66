//! "Did you mean …": the nearest of the names that would have been right.

/// The candidate most like `name`, if any is near enough to be worth saying.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        // Of equally near ones the first by name: candidates may come in any order.
        .max_by(|(a, first), (b, second)| a.total_cmp(b).then_with(|| second.cmp(first)))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        let names = ["password", "proxy", "outbound_proxy", "display_name"];
        assert_eq!(nearest("pasword", names), Some("password"));
        assert_eq!(nearest("displayname", names), Some("display_name"));
        assert_eq!(nearest("zzz", names), None);
        assert_eq!(nearest("Line_3", ["Line_2", "Line_1"]), nearest("Line_3", ["Line_1", "Line_2"]));
    }
}
