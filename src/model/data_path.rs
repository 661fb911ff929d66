//! Paths of parameters, `Device.Services.VoiceService.1.Enable`, and patterns of them with `{i}` for instance numbers.

/// What a data model may begin with (TR-106, TR-098).
pub const ROOTS: [&str; 2] = ["Device", "InternetGatewayDevice"];

/// The longest path that CWMP carries, in characters.
pub const LONGEST: usize = 256;

/// What is wrong with a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    #[error("must begin with {0}.")]
    Root(String),
    #[error("must name a parameter: an object's path ends with a dot")]
    Object,
    #[error("has an empty part: two dots in a row")]
    Empty,
    #[error("\"{0}\" is no part of a path: letters, digits, _ and -, or an instance number from 1 on")]
    Part(String),
    #[error("is longer than 256 characters")]
    Long,
}

fn check(path: &str, is_root: impl Fn(&str) -> bool, root: &str, pattern: bool) -> Result<(), PathError> {
    if path.len() > LONGEST {
        return Err(PathError::Long);
    }
    let (first, rest) = path.split_once('.').unwrap_or((path, ""));
    if !is_root(first) {
        return Err(PathError::Root(root.to_owned()));
    }
    if rest.is_empty() || rest.ends_with('.') {
        return Err(PathError::Object);
    }
    for part in rest.split('.') {
        let is_name = part.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        let is_number = instance(part).is_some();
        if part.is_empty() {
            return Err(PathError::Empty);
        }
        let is_pattern = pattern && part == "{i}";
        if !(is_name || is_number || is_pattern) {
            return Err(PathError::Part(part.chars().take(40).collect()));
        }
    }
    Ok(())
}

/// Looks whether this is the pattern of a parameter below `root`.
pub fn check_pattern(path: &str, root: &str) -> Result<(), PathError> {
    check(path, |first| first == root, root, true)
}

/// Looks whether this is a parameter's path in any data model.
pub fn check_path(path: &str) -> Result<(), PathError> {
    check(path, |first| ROOTS.contains(&first), &ROOTS.join(". or "), false)
}

/// The same of a path that may also be an object's, with a dot at its end.
pub fn check_partial(path: &str) -> Result<(), PathError> {
    match path.strip_suffix('.') {
        Some(root) if ROOTS.contains(&root) => Ok(()),
        Some(object) => check_path(object),
        None => check_path(path),
    }
}

/// The number that a part of a path is, if it is one.
pub fn instance(part: &str) -> Option<u32> {
    let is_number = part.bytes().all(|byte| byte.is_ascii_digit()) && !part.starts_with('0');
    is_number.then(|| part.parse().ok())?
}

/// The path with `{i}` in the place of every number: the same for a pattern and what it stands for.
pub fn shape(path: &str) -> String {
    let mut shape = String::with_capacity(path.len() + 8);
    for (index, part) in path.split('.').enumerate() {
        if index > 0 {
            shape.push('.');
        }
        shape.push_str(if instance(part).is_some() { "{i}" } else { part });
    }
    shape
}

/// The instance numbers that make the path of the pattern; none if it isn't of it.
pub fn instances(pattern: &str, path: &str) -> Option<Vec<u32>> {
    let mut numbers = Vec::new();
    let mut parts = path.split('.');
    for wanted in pattern.split('.') {
        let part = parts.next()?;
        match wanted {
            "{i}" => numbers.push(instance(part)?),
            _ if wanted == part => {}
            _ => return None,
        }
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_stands_for_its_instances() {
        let pattern = "Device.Services.VoiceService.1.VoiceProfile.{i}.Line.{i}.Enable";
        let of = |path| instances(pattern, path);
        assert_eq!(of("Device.Services.VoiceService.1.VoiceProfile.3.Line.12.Enable"), Some(vec![3, 12]));
        for other in [
            "Device.Services.VoiceService.2.VoiceProfile.3.Line.12.Enable",
            "Device.Services.VoiceService.1.VoiceProfile.3.Line.0.Enable",
            "Device.Services.VoiceService.1.VoiceProfile.3.Line.01.Enable",
            "Device.Services.VoiceService.1.VoiceProfile.3.Line.99999999999.Enable",
            "Device.Services.VoiceService.1.VoiceProfile.3.Line.1.Enable.X",
            "Device.Services.VoiceService.1.VoiceProfile.3.Line.1",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
        assert_eq!(shape(pattern), shape("Device.Services.VoiceService.7.VoiceProfile.1.Line.1.Enable"));
    }

    #[test]
    fn what_is_no_path_says_why() {
        for fine in ["Device.A", "InternetGatewayDevice.A.1.X_Aastra_B", "Device.X_000E08-A.b"] {
            assert_eq!(check_path(fine), Ok(()), "{fine}");
        }
        assert_eq!(check_partial("Device."), Ok(()));
        assert_eq!(check_partial("Device.LAN."), Ok(()));
        assert_eq!(check_path("Device.LAN."), Err(PathError::Object));
        assert_eq!(check_path("Device"), Err(PathError::Object));
        assert!(matches!(check_path("device.LAN"), Err(PathError::Root(_))));
        assert_eq!(check_path("Device..LAN"), Err(PathError::Empty));
        assert!(matches!(check_path("Device.A.0"), Err(PathError::Part(_))));
        assert!(matches!(check_path("Device.A.{i}.B"), Err(PathError::Part(_))));
        assert!(matches!(check_path("Device.A b"), Err(PathError::Part(_))));
        assert_eq!(check_path(&format!("Device.{}", "a".repeat(300))), Err(PathError::Long));
    }
}
