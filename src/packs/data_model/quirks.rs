//! How phones of a family or model are different from what CWMP says, or which of its choices they made.

use crate::cwmp::{BooleanForm, TimeForm};
use crate::document::{Problems, Reader, nearest};
use crate::packs::manifest::Model;

/// A word of tr069.toml that stands for one of a few things.
macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident, $what:literal, default $default:ident, { $($(#[doc = $about:literal])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[doc = $doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $name { $($(#[doc = $about])* $variant),+ }

        impl $name {
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As tr069.toml has it.
            pub fn word(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }

        impl std::str::FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Self::ALL.iter().copied().find(|one| one.word() == text).ok_or_else(|| {
                    let words: Vec<_> = Self::ALL.iter().map(|one| one.word()).collect();
                    format!("\"{text}\" is {}: it is one of {}", $what, words.join(", "))
                })
            }
        }
    };
}
pub(super) use words;

words! {
    /// What a phone's SerialNumber holds.
    Identity, "nothing that a phone is known by", default Serial, {
        /// Its serial number, as the guide's devices have it.
        Serial = "serial",
        /// Its MAC address.
        Mac = "mac",
    }
}

words! {
    /// What a phone's ProductClass tells.
    ProductClass, "nothing that a product class tells", default Other, {
        /// The model, by its name or an alias.
        Model = "model",
        /// Nothing that the pack could read.
        Other = "other",
    }
}

words! {
    /// How a phone wants to be asked to connect over HTTP.
    ConnectionRequest, "no way of connection requests", default Digest, {
        Digest = "digest",
        Basic = "basic",
        /// It hears none.
        None = "none",
    }
}

words! {
    /// How a phone that can't reach the server tries again.
    Retry, "no way of trying again", default Increasing, {
        /// At growing intervals, as TR-069 says.
        Increasing = "increasing",
        /// At the same interval each time.
        Constant = "constant",
    }
}

words! {
    /// For which parameters a phone takes notification attributes.
    Notifying, "nothing that notifications are for", default All, {
        All = "all",
        /// Those that tr069.toml marks by `notifiable = true`.
        Listed = "listed",
        None = "none",
    }
}

/// Everything that is peculiar to the phones of one model. That they repeat `nc` of Digest stands in pack.toml: it holds for
/// files, too.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Quirks {
    pub identity: Identity,
    /// The OUIs that its makers put into DeviceId, in capitals; none: any.
    pub oui: Vec<String>,
    pub product_class: ProductClass,
    /// Most names of one GetParameterValues; none: any number.
    pub get_batch: Option<u16>,
    /// Most values of one SetParameterValues; none: any number.
    pub set_batch: Option<u16>,
    pub booleans: BooleanForm,
    pub date_time: TimeForm,
    pub connection_request: ConnectionRequest,
    pub retry: Retry,
    pub notifications: Notifying,
    /// A changed value holds only after a reboot.
    pub reboot_to_apply: bool,
    /// A factory reset leaves what the phone knows of its ACS, and its network.
    pub keeps_acs_on_reset: bool,
}

impl Quirks {
    /// The quirks of no model in particular, and those of each.
    pub(super) fn read(reader: Option<&Reader<'_>>, models: &[Model]) -> (Self, Vec<Self>) {
        let Some(reader) = reader else { return (Self::default(), vec![Self::default(); models.len()]) };
        let common = Self::default().with(reader);
        let mut own = vec![common.clone(); models.len()];
        for scope in ["family", "model"] {
            let Some(table) = reader.table(scope) else { continue };
            for (name, _) in table.entries() {
                let is_meant =
                    |model: &Model| if scope == "family" { model.family == name } else { model.is_called(name) };
                if !models.iter().any(is_meant) {
                    let names: Vec<&str> = match scope {
                        "family" => models.iter().map(|model| model.family.as_str()).collect(),
                        _ => models.iter().map(|model| &*model.name).collect(),
                    };
                    let help = nearest(name, names).map(|near| format!("did you mean \"{near}\"?"));
                    table.problem(name, format!("the pack has no {scope} of this name"), help);
                }
                let Some(inner) = table.table(name) else { continue };
                for (quirks, _) in own.iter_mut().zip(models).filter(|(_, model)| is_meant(model)) {
                    *quirks = quirks.clone().with(&inner);
                }
                if !models.iter().any(is_meant) {
                    drop(Self::default().with(&inner));
                }
                inner.finish();
            }
        }
        (common, own)
    }

    fn with(mut self, reader: &Reader<'_>) -> Self {
        fn set<T>(place: &mut T, value: Option<T>) {
            if let Some(value) = value {
                *place = value;
            }
        }
        set(&mut self.identity, reader.parsed("identity"));
        set(&mut self.product_class, reader.parsed("product_class"));
        set(&mut self.booleans, reader.parsed("booleans"));
        set(&mut self.date_time, reader.parsed("date_time"));
        set(&mut self.connection_request, reader.parsed("connection_request"));
        set(&mut self.retry, reader.parsed("retry"));
        set(&mut self.notifications, reader.parsed("notifications"));
        set(&mut self.reboot_to_apply, reader.boolean("reboot_to_apply"));
        set(&mut self.keeps_acs_on_reset, reader.boolean("keeps_acs_on_reset"));
        let batch = |key| reader.integer(key, 1..=10_000).and_then(|number| u16::try_from(number).ok());
        set(&mut self.get_batch, batch("get_batch").map(Some));
        set(&mut self.set_batch, batch("set_batch").map(Some));
        if let Some(list) = reader.texts("oui") {
            let is_oui = |oui: &String| oui.len() == 6 && oui.bytes().all(|byte| byte.is_ascii_hexdigit());
            match list.iter().find(|oui| !is_oui(oui)) {
                Some(wrong) => reader.problem(
                    "oui",
                    format!("\"{wrong}\" is no OUI"),
                    "write six hexadecimal digits: 00085D".to_owned(),
                ),
                None => self.oui = list.iter().map(|oui| oui.to_ascii_uppercase()).collect(),
            }
        }
        self
    }
}

/// Reads that were made once for every model told the same mistake as often.
pub(super) fn once(problems: Problems) -> Problems {
    let mut told = Problems::default();
    for problem in problems {
        if !told.iter().any(|known| *known == problem) {
            told.push(problem);
        }
    }
    told
}
