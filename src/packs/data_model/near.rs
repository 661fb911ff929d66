//! The known path that may have been meant.

use crate::document;
use crate::model::data_path as path;

/// The pattern that is most like a path, with the path's numbers in it. The end tells most: long paths begin alike.
pub fn nearest<'p>(wrong: &str, patterns: impl Iterator<Item = &'p str>) -> Option<String> {
    let wanted = path::shape(wrong);
    let numbers: Vec<&str> = wrong.split('.').filter(|part| path::instance(part).is_some()).collect();
    let patterns: Vec<&str> = patterns.collect();
    let last = |path: &str| path.rsplit('.').next().unwrap_or_default().to_owned();
    let object = wanted.rsplit_once('.').map_or("", |(object, _)| object);
    let siblings =
        patterns.iter().filter(|pattern| path::shape(pattern).rsplit_once('.').is_some_and(|(o, _)| o == object));
    let siblings: Vec<(String, &str)> = siblings.map(|pattern| (last(pattern), *pattern)).collect();
    let sibling = document::nearest(&last(wrong), siblings.iter().map(|(name, _)| name.as_str()))
        .and_then(|near| siblings.iter().find(|(name, _)| name == near))
        .map(|(_, pattern)| *pattern);
    let found = sibling.or_else(|| {
        // The same name elsewhere, or the whole path misspelt somewhere.
        let same: Vec<&str> = patterns.iter().copied().filter(|pattern| last(pattern) == last(wrong)).collect();
        document::nearest(&wanted, if same.is_empty() { patterns.clone() } else { same })
    })?;
    let mut numbers = numbers.into_iter();
    let filled = found.split('.').map(|part| match part {
        "{i}" => numbers.next().unwrap_or("1"),
        // A number that the pattern has of its own stands for one of the path's.
        _ if path::instance(part).is_some() => {
            numbers.next();
            part
        }
        _ => part,
    });
    Some(filled.collect::<Vec<_>>().join("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_is_a_sibling_before_all() {
        let patterns = ["Device.A.{i}.SIP.ProxyServer", "Device.A.{i}.SIP.ProxyServerPort", "Device.B.ProxyServr"];
        let near = |path| nearest(path, patterns.iter().copied());
        assert_eq!(near("Device.A.4.SIP.ProxyServr").as_deref(), Some("Device.A.4.SIP.ProxyServer"));
        assert_eq!(near("Device.A.4.SPI.ProxyServerPort").as_deref(), Some("Device.A.4.SIP.ProxyServerPort"));
    }
}
