//! The name of one setting, small enough that a hundred thousand devices can hold their own.

use std::fmt;
use std::sync::Arc;

use super::schema::{Kind, SECTIONS, Section, Setting, Shape, section};

/// The name of one setting. Orders as the docs do: by section, then number, then setting.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// `section.setting`, both as indices into the schema.
    Plain { section: u8, setting: u8 },
    /// `section.N.setting`.
    Numbered { section: u8, n: u16, setting: u8 },
    /// `params.NAME`: the value of a phone's own parameter.
    Param(Arc<str>),
    /// `params.NAME.access`: the access that is written for it.
    ParamAccess(Arc<str>),
    /// `vars.…`, dotted.
    Var(Arc<str>),
    /// `acs.params.PATH`: the value of a data-model parameter.
    AcsParam(Arc<str>),
    /// `acs.notifications.PATH`: the notification of one, or of an object.
    AcsNotification(Arc<str>),
}

/// The highest N of `[section.N]`.
pub const MAX_NUMBER: u16 = 999;

impl Key {
    /// The key of `section.setting` or, with a number, of `section.N.setting`; none if the schema has no such.
    pub fn of(section_name: &str, n: Option<u16>, setting_name: &str) -> Option<Self> {
        let at = SECTIONS.iter().position(|section| section.name == section_name)?;
        let section = u8::try_from(at).ok()?;
        let setting = SECTIONS.get(at)?.settings.iter().position(|setting| setting.name == setting_name)?;
        let setting = u8::try_from(setting).ok()?;
        Some(match n {
            None => Self::Plain { section, setting },
            Some(n) => Self::Numbered { section, n, setting },
        })
    }

    /// The schema's entry, for keys that have one.
    pub fn schema(&self) -> Option<(&'static Section, &'static Setting)> {
        let (Self::Plain { section, setting } | Self::Numbered { section, setting, .. }) = self else { return None };
        let section = SECTIONS.get(usize::from(*section))?;
        Some((section, section.settings.get(usize::from(*setting))?))
    }

    /// Where its value stands in a tree of tables: a parameter's name is one part, whatever is in it.
    pub fn tree_path(&self) -> Vec<String> {
        let parts: &[&str] = match self {
            Self::Param(name) => &["params", name],
            Self::ParamAccess(name) => &["params", name, "access"],
            Self::AcsParam(path) => &["acs", "params", path],
            Self::AcsNotification(path) => &["acs", "notifications", path],
            Self::Var(_) | Self::Plain { .. } | Self::Numbered { .. } => {
                return self.to_string().split('.').map(str::to_owned).collect();
            }
        };
        parts.iter().map(|part| (*part).to_owned()).collect()
    }

    /// The key that a dotted name means: `lines.1.proxy`, `params.Time_Zone`, `vars.site`.
    pub fn parse(dotted: &str) -> Option<Self> {
        let (head, rest) = dotted.split_once('.')?;
        match section(head)?.shape {
            Shape::Table => match rest.split_once('.') {
                Some((setting, path)) => match section(head)?.setting(setting)?.kind {
                    Kind::Paths => Some(Self::AcsParam(path.into())),
                    Kind::Notifications => Some(Self::AcsNotification(path.into())),
                    _ => None,
                },
                None => Self::of(head, None, rest),
            },
            Shape::Numbered => {
                let (n, setting) = rest.split_once('.')?;
                Self::of(head, Some(n.parse().ok()?), setting)
            }
            Shape::Params => Some(Self::Param(rest.into())),
            Shape::Free => Some(Self::Var(rest.into())),
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Param(name) => write!(f, "params.{name}"),
            Self::ParamAccess(name) => write!(f, "params.{name}.access"),
            Self::Var(name) => write!(f, "vars.{name}"),
            Self::AcsParam(path) => write!(f, "acs.params.{path}"),
            Self::AcsNotification(path) => write!(f, "acs.notifications.{path}"),
            Self::Plain { .. } | Self::Numbered { .. } => {
                let (section, setting) = self.schema().ok_or(fmt::Error)?;
                match self {
                    Self::Numbered { n, .. } => write!(f, "{}.{n}.{}", section.name, setting.name),
                    _ => write!(f, "{}.{}", section.name, setting.name),
                }
            }
        }
    }
}

/// What `unset` takes away: a setting, or everything under a section, a line, a table of `vars`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prefix(Arc<str>);

impl Prefix {
    /// A dotted name, if the schema has something there.
    pub fn parse(dotted: &str) -> Option<Self> {
        let mut parts = dotted.split('.');
        let head = section(parts.next()?)?;
        let fits = match (head.shape, parts.next(), parts.next(), parts.next()) {
            (_, None, None, None) | (Shape::Params, Some(_), ..) | (Shape::Free, Some(_), ..) => true,
            (Shape::Table, Some(name), None, None) => head.setting(name).is_some(),
            (Shape::Table, Some(name), Some(_), _) => {
                head.setting(name).is_some_and(|setting| matches!(setting.kind, Kind::Paths | Kind::Notifications))
            }
            (Shape::Numbered, Some(n), name, None) => {
                n.parse::<u16>().is_ok() && name.is_none_or(|name| head.setting(name).is_some())
            }
            _ => false,
        };
        fits.then(|| Self(dotted.into()))
    }

    /// Whether the key lies at or under this name.
    pub fn covers(&self, key: &Key) -> bool {
        let name = key.to_string();
        name.strip_prefix(&*self.0).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
    }
}

impl fmt::Display for Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_read_as_they_show() {
        for name in ["lines.1.proxy", "provisioning.url", "params.Time_Zone", "vars.site.floor", "keys.12.type"]
            .into_iter()
            .chain(["acs.params.Device.X.1.Y", "acs.notifications.Device.LAN.", "acs.url"])
        {
            assert_eq!(Key::parse(name).unwrap().to_string(), name);
        }
        for name in ["lines.proxy", "lines.x.proxy", "provisioning.nope", "nope.x", "lines"] {
            assert_eq!(Key::parse(name), None, "{name}");
        }
    }

    #[test]
    fn unset_covers_what_lies_under_it() {
        let covers = |prefix: &str, key: &str| Prefix::parse(prefix).unwrap().covers(&Key::parse(key).unwrap());
        assert!(covers("lines.2", "lines.2.proxy"));
        assert!(!covers("lines.2", "lines.21.proxy"));
        assert!(covers("params", "params.Foo"));
        assert!(covers("params.Foo", "params.Foo"));
        assert!(!covers("params.Foo", "params.Foo_2_"));
        assert!(covers("vars.site", "vars.site.floor"));
        assert!(covers("acs.params", "acs.params.Device.X.1.Y"));
        assert!(covers("acs.params.Device.X", "acs.params.Device.X.1.Y"));
        assert!(covers("acs", "acs.notifications.Device.LAN."));
        assert_eq!(Prefix::parse("acs.url.x"), None);
        assert_eq!(Prefix::parse("linse"), None);
        assert_eq!(Prefix::parse("lines.1.nope"), None);
    }
}
