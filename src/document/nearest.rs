//! "Did you mean …": the nearest of the names that would have been right.

/// The candidate most like `name`, if any is near enough to be worth saying.
pub fn nearest<'c>(name: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let wanted = name.to_lowercase();
    candidates
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&wanted, &candidate.to_lowercase()), candidate))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
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
    }
}
