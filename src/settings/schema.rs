//! Every setting there is: its name, its kind, and what it means. Layers are checked against this table, templates get
//! every name of it, and docs/settings.md is written from it.

use std::fmt;

/// What a setting's value may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A text that no one may read: given as text, `{ env }`, `{ file }`, `{ hex }` or `{ base64url }`.
    Secret,
    Bool,
    /// A whole number within these bounds.
    Integer(i64, i64),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A list of texts.
    Texts,
    /// A list of words, each one of these.
    Choices(&'static [&'static str]),
    /// An IANA time zone name, `Europe/Vienna`.
    TimeZone,
    /// A list of networks, `192.0.2.0/24` or `2001:db8::/32`.
    Networks,
    /// Seconds, or a schedule as phones take it: `3600`, `"3600+600"`, `"1800,3600,7200"`.
    Schedule,
    /// An absolute http(s) URL without a slash at its end.
    BaseUrl,
    /// A table of data-model parameters by their paths, each a text, a number, true or false, or a secret.
    Paths,
    /// A table of notifications by the paths of data-model parameters or, with a dot at the end, objects.
    Notifications,
}

/// One setting of a section.
#[derive(Debug)]
pub struct Setting {
    pub name: &'static str,
    pub kind: Kind,
    pub about: &'static str,
}

/// How a section is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `[section]` with the settings listed.
    Table,
    /// `[section.N]`, N counted from 1, each with the settings listed.
    Numbered,
    /// `[params]`: the phone's own names; values are checked against the pack's parameter list.
    Params,
    /// `[vars]`: any names and values, for the operator's own templates.
    Free,
}

/// One section of the settings tree.
#[derive(Debug)]
pub struct Section {
    pub name: &'static str,
    pub shape: Shape,
    pub about: &'static str,
    /// A few lines of TOML as an operator would write them.
    pub example: &'static str,
    pub settings: &'static [Setting],
}

const fn setting(name: &'static str, kind: Kind, about: &'static str) -> Setting {
    Setting { name, kind, about }
}

use Kind::{
    BaseUrl, Bool, Choice, Choices, Integer, Networks, Notifications, Paths, Schedule, Secret, Text, Texts, TimeZone,
};

const SECONDS: Kind = Integer(0, 31_536_000);
const PORT: Kind = Integer(1, 65_535);

/// The settings that stand at the top of a file, outside every section.
pub const TOP: &[Setting] = &[
    setting(
        "model",
        Text,
        "The phone's model, by its name or an alias in a pack (`resyncd packs` lists them). Decides the pack. Only in a device's own layer.",
    ),
    setting(
        "group",
        Text,
        "The group that the device belongs to: `profiles/groups/<name>.toml`. Only in a device's own layer.",
    ),
    setting("serial", Text, "The serial number, for phones that name themselves by it. Only in a device's own layer."),
    setting("parent", Text, "In a group's file: the group that this one lies within."),
    setting(
        "unset",
        Texts,
        "Dotted names of settings, or whole sections, that this layer takes away from the layers below: `[\"params.Foo\", \"lines.2\"]`.",
    ),
];

/// All sections, in the order in which the docs tell of them.
pub const SECTIONS: &[Section] = &[
    Section {
        name: "lines",
        shape: Shape::Numbered,
        about: "The SIP accounts, one table per line of the phone.",
        example: r#"[lines.1]
user = "1001"
password = { env = "SIP_1001" }
display_name = "Reception & Bar"
proxy = "sip.example.com"
"#,
        settings: &[
            setting("enabled", Bool, "Whether the phone registers this line. Unset: true if the line has a `user`."),
            setting("user", Text, "The SIP user: the part before the @."),
            setting("auth_user", Text, "The user name for SIP authentication. Unset: `user`."),
            setting("password", Secret, "The SIP password."),
            setting("realm", Text, "The SIP realm, where the phone has to be told."),
            setting("display_name", Text, "The caller's name as others see it."),
            setting("label", Text, "What the phone's own display calls the line. Unset: `display_name`, else `user`."),
            setting("proxy", Text, "The SIP proxy or registrar: host or host:port."),
            setting("outbound_proxy", Text, "Where requests are sent instead of to `proxy`."),
            setting("backup_proxy", Text, "The proxy to fall back to."),
            setting("transport", Choice(&["udp", "tcp", "tls"]), "How SIP is carried."),
            setting("port", PORT, "The phone's own SIP port of this line."),
            setting("expires", Integer(10, 86_400), "Seconds between registrations."),
            setting("register", Bool, "Whether to register at all; false for a trunk by address."),
            setting("voicemail", Text, "The number that the message button dials."),
            setting("voicemail_subscribe", Bool, "Whether to subscribe to message-waiting notifications."),
            setting(
                "codecs",
                Choices(&["pcmu", "pcma", "g722", "g722.2", "g726-32", "g729a", "ilbc", "opus"]),
                "Codecs, the preferred first.",
            ),
            setting("dtmf", Choice(&["auto", "rfc2833", "info", "inband"]), "How digits are sent during a call."),
            setting("srtp", Choice(&["off", "optional", "required"]), "Encryption of media."),
            setting("dial_plan", Text, "The dial plan in the phone's own grammar."),
            setting("nat_keepalive", Bool, "Whether to keep a NAT binding open."),
            setting("call_waiting", Bool, "Whether a second call rings through."),
            setting("shared", Bool, "Whether the line is shared with other phones (SLA, BLA)."),
        ],
    },
    Section {
        name: "keys",
        shape: Shape::Numbered,
        about: "The programmable keys, one table per key.",
        example: r#"[keys.1]
type = "blf"
label = "Kitchen"
value = "1002"
pickup = "**"
"#,
        settings: &[
            setting(
                "type",
                Choice(&["none", "line", "blf", "speed-dial", "park", "pickup", "intercom", "url"]),
                "What the key does.",
            ),
            setting("label", Text, "What the display shows beside it."),
            setting("value", Text, "The number, extension or URL that it works on."),
            setting("line", Integer(1, 99), "The line that it works with. Unset: 1."),
            setting("pickup", Text, "The code dialled before the extension to pick up its call (`blf`)."),
        ],
    },
    Section {
        name: "provisioning",
        shape: Shape::Table,
        about: "How the phone comes back to this server.",
        example: r#"[provisioning]
url = "https://prov.example.com"
interval = 7200
random_delay = 600
"#,
        settings: &[
            setting("url", BaseUrl, "Where phones reach this server: `https://prov.example.com`."),
            setting(
                "enabled",
                Bool,
                "False switches provisioning off on the phone: it will not come back. Unset: true.",
            ),
            setting("interval", Schedule, "Seconds between periodic resyncs."),
            setting(
                "random_delay",
                Integer(0, 65_535),
                "Up to so many seconds are waited after power-up, so that a power cut does not bring all phones at once.",
            ),
            setting("error_retry", Schedule, "Seconds until a failed resync is tried again."),
            setting("on_reset", Bool, "Whether to resync after every reboot."),
            setting("at", Text, "A time of day, `HHMM`, to resync at instead of periodically."),
            setting("at_random_delay", Integer(0, 65_535), "Up to so many seconds are waited after `at`."),
            setting("from_sip", Bool, "Whether a SIP NOTIFY may ask for a resync."),
        ],
    },
    Section {
        name: "delivery",
        shape: Shape::Table,
        about: "How the profile is packed for the way: gzip first, then encryption.",
        example: r#"[delivery]
gzip = true
encryption = "aes-256-cbc"
key = { env = "KEY_000e08abcdef" }
"#,
        settings: &[
            setting("gzip", Bool, "Whether to send a gzip file."),
            setting(
                "encryption",
                Choice(&["none", "aes-256-cbc", "aes128gcm"]),
                "`aes-256-cbc` as `openssl enc` writes it, or `aes128gcm` of RFC 8188.",
            ),
            setting("key", Secret, "The passphrase (aes-256-cbc) or the input keying material (aes128gcm)."),
            setting(
                "digest",
                Choice(&["md5", "sha256", "pbkdf2"]),
                "How aes-256-cbc derives key and IV from the passphrase. Unset: md5, as the phones' guides were tested with.",
            ),
            setting("iterations", Integer(1, 10_000_000), "Rounds of pbkdf2. Unset: 10000, as `openssl enc`."),
            setting("record_size", Integer(18, 1_048_576), "Bytes per record of aes128gcm. Unset: 4096."),
            setting("key_id", Text, "The keyid of aes128gcm, up to 255 bytes. Unset: empty."),
        ],
    },
    Section {
        name: "access",
        shape: Shape::Table,
        about: "Which proofs open this device's files. Any one that holds suffices; with none, nothing is handed out.",
        example: r#"[access]
certificate = true
networks = ["192.0.2.0/24"]
"#,
        settings: &[
            setting("certificate", Bool, "A verified client certificate that names this device."),
            setting(
                "password",
                Bool,
                "HTTP Basic or Digest with this device's own `credentials`, on listeners that ask for them (`passwords`).",
            ),
            setting("token", Bool, "An unguessable part of the URL, which `resyncd device token` makes."),
            setting("encrypted", Bool, "Anyone may fetch files that are encrypted with this device's own key."),
            setting("networks", Networks, "Anyone in these networks may fetch: a staging LAN."),
        ],
    },
    Section {
        name: "credentials",
        shape: Shape::Table,
        about: "This device's own user and password, for `access.password`.",
        example: r#"[credentials]
user = "acme-000e08abcdef"
password = { env = "HTTP_000e08abcdef" }
"#,
        settings: &[
            setting("user", Text, "The user name."),
            setting("password", Secret, "The password."),
            setting(
                "previous",
                Secret,
                "The password before, which holds as well until the phone has used the new one. `resyncd device credentials --rotate` sets it.",
            ),
        ],
    },
    Section {
        name: "admin",
        shape: Shape::Table,
        about: "The phone's own web pages and menus.",
        example: r#"[admin]
password = { file = "secrets/phone-admin" }
web = false
"#,
        settings: &[
            setting("password", Secret, "The administrator's password."),
            setting("user_password", Secret, "The user's password."),
            setting("web", Bool, "Whether the phone's web pages are on."),
            setting("web_tls", Bool, "Whether they are served over HTTPS."),
        ],
    },
    Section {
        name: "time",
        shape: Shape::Table,
        about: "Clock and calendar. Offset and daylight saving rule are derived from the zone.",
        example: r#"[time]
zone = "America/Chicago"
ntp = ["0.pool.ntp.org", "1.pool.ntp.org"]
"#,
        settings: &[
            setting("zone", TimeZone, "The IANA time zone: `America/Chicago`."),
            setting("ntp", Texts, "NTP servers, the preferred first."),
            setting("dst", Bool, "False ignores the zone's daylight saving time. Unset: true."),
            setting("clock", Choice(&["12h", "24h"]), "How the time is shown."),
            setting("date", Choice(&["dmy", "mdy", "ymd"]), "How the date is shown."),
        ],
    },
    Section {
        name: "locale",
        shape: Shape::Table,
        about: "Language and telephone customs.",
        example: r#"[locale]
language = "en-US"
country = "US"
"#,
        settings: &[
            setting("language", Text, "The display's language by its tag: `en-US`, `de`."),
            setting("country", Text, "The country whose tones are played, by its two letters: `US`."),
        ],
    },
    Section {
        name: "network",
        shape: Shape::Table,
        about: "The network that the phone stands in.",
        example: r#"[network]
vlan = 100
vlan_priority = 5
lldp = true
"#,
        settings: &[
            setting("vlan", Integer(0, 4_094), "The VLAN of the phone's own packets; 0 for none."),
            setting("vlan_priority", Integer(0, 7), "Their 802.1p priority."),
            setting("pc_vlan", Integer(0, 4_094), "The VLAN of the PC port; 0 for none."),
            setting("lldp", Bool, "LLDP-MED."),
            setting("cdp", Bool, "Cisco Discovery Protocol."),
            setting("hostname", Text, "The phone's host name."),
            setting("domain", Text, "The domain that it lies in."),
            setting("dns", Texts, "Name servers, if not by DHCP."),
            setting("dscp_sip", Integer(0, 63), "DSCP of signalling."),
            setting("dscp_rtp", Integer(0, 63), "DSCP of media."),
            setting("rtp_port_min", PORT, "The lowest RTP port."),
            setting("rtp_port_max", PORT, "The highest RTP port."),
            setting("stun", Text, "The STUN server: host or host:port."),
        ],
    },
    Section {
        name: "syslog",
        shape: Shape::Table,
        about: "Where the phone sends its own log.",
        example: r#"[syslog]
server = "192.0.2.10"
level = "warning"
"#,
        settings: &[
            setting("server", Text, "Host or address."),
            setting("port", PORT, "UDP port. Unset: 514."),
            setting("level", Choice(&["error", "warning", "info", "debug"]), "How much is sent."),
        ],
    },
    Section {
        name: "firmware",
        shape: Shape::Table,
        about: "Which firmware the phone should run.",
        example: r#"[firmware]
enabled = true
version = "11.0"
url = "/firmware/cp-8841.loads"
"#,
        settings: &[
            setting("enabled", Bool, "Whether the phone may upgrade itself."),
            setting("version", Text, "The version wanted, as the phone's User-Agent writes it."),
            setting("url", Text, "Where the image is: a URL, or a path on this server."),
            setting("error_retry", Schedule, "Seconds until a failed upgrade is tried again."),
        ],
    },
    Section {
        name: "report",
        shape: Shape::Table,
        about: "What the phone tells of its own configuration.",
        example: r#"[report]
url = "/report"
method = "post"
"#,
        settings: &[
            setting("url", Text, "Where reports are sent: a URL, or a path on this server."),
            setting("enabled", Bool, "Whether reports are sent. Unset: true if there is a `url`."),
            setting("method", Choice(&["post", "put"]), "How reports are sent."),
        ],
    },
    Section {
        name: "acs",
        shape: Shape::Table,
        about: "The TR-069 server that manages the phone.",
        example: r#"[acs]
url = "https://acs.example.com/"
user = "000e08abcdef"
password = { env = "ACS_000e08abcdef" }

[acs.params]
"Device.Services.VoiceService.1.VoiceProfile.1.DTMFMethod" = "RFC2833"

[acs.notifications]
"Device.DeviceInfo.SoftwareVersion" = "active"
"#,
        settings: &[
            setting("url", Text, "The ACS's URL."),
            setting("enabled", Bool, "Whether the phone speaks TR-069. Unset: true if there is a `url`."),
            setting("user", Text, "The phone's user name at the ACS."),
            setting("password", Secret, "The phone's password at the ACS."),
            setting("interval", SECONDS, "Seconds between periodic informs."),
            setting("connection_user", Text, "The ACS's user name at the phone."),
            setting("connection_password", Secret, "The ACS's password at the phone."),
            setting("connection_port", PORT, "The port on which the phone hears connection requests."),
            setting("connection_path", Text, "The path of connection requests."),
            setting(
                "connection_way",
                Choice(&["auto", "http", "udp", "notify"]),
                "How the phone is asked to open a session: over HTTP, by UDP through its NAT, or by a SIP NOTIFY. Unset or `auto`: by UDP where it tells an address for that, over HTTP otherwise, and by NOTIFY where it can't be reached so.",
            ),
            setting(
                "notify_to",
                Text,
                "The SIP address, `user@host`, to which the phone is sent a NOTIFY. Unset: `lines.1.user` at `lines.1.proxy`.",
            ),
            setting("trusted_certificates", Text, "URL of the certificates by which the phone knows the ACS."),
            setting("private_key", Text, "URL of the phone's private key and certificate."),
            setting("authenticate_server", Bool, "Whether the phone checks the ACS's certificate."),
            setting("backup_url", Text, "The ACS that the phone turns to when it can't reach `url`."),
            setting("backup_user", Text, "The phone's user name there."),
            setting("backup_password", Secret, "The phone's password there."),
            setting(
                "stun",
                Text,
                "The STUN server by which connection requests reach a phone behind NAT (TR-111): host or host:port.",
            ),
            setting("stun_user", Text, "The phone's user name at the STUN server, where that wants one."),
            setting("stun_password", Secret, "The phone's password there."),
            setting(
                "check_sync",
                Choice(&["resync", "inform", "inform-and-call"]),
                "What the phone does about a SIP NOTIFY with `check-sync`: looks for new files, informs the ACS, or does that and asks for `check_sync_url`.",
            ),
            setting(
                "check_sync_url",
                Text,
                "What the phone then asks for; `$$JOBID$$` stands for the NOTIFY's job. Unset: `/check-sync?JobID=$$JOBID$$` below `url`.",
            ),
            setting(
                "changed_on_phone",
                Choice(&["restore", "keep"]),
                "What the ACS does about a value that was changed on the phone: sets it back, or leaves it and tells. Unset: restore.",
            ),
            setting(
                "params",
                Paths,
                "The phone's data-model parameters by their paths. They win over what the pack derives: `\"Device.X\" = \"text\"`, a number, `true`, or a secret reference.",
            ),
            setting(
                "notifications",
                Notifications,
                "For which data-model parameters, or all under an object (a path with a dot at its end), the phone tells of changes: `off`, `passive` (with its next Inform) or `active` (at once).",
            ),
        ],
    },
    Section {
        name: "params",
        shape: Shape::Params,
        about: "The phone's own parameters by their own names. They win over what the pack derives: `Time_Zone = \"GMT-06:00\"`, or `{ value = \"GMT-06:00\", access = \"ro\" }`, or a secret reference.",
        example: r#"[params]
Resync_Periodic = 7200
Time_Zone = { value = "GMT-06:00", access = "ro" }
"#,
        settings: &[],
    },
    Section {
        name: "vars",
        shape: Shape::Free,
        about: "Names and values of the operator's own, for own templates.",
        example: r#"[vars]
site = "Vienna"
doors = ["1101", "1102"]
"#,
        settings: &[],
    },
];

/// In words for the docs.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Text => f.write_str("a text"),
            Secret => f.write_str("a secret"),
            Bool => f.write_str("`true` or `false`"),
            Integer(min, max) => write!(f, "a whole number, from {min} to {max}"),
            Choice(words) => {
                f.write_str("one of ")?;
                write_words(f, words)
            }
            Texts => f.write_str("a list of texts"),
            Choices(words) => {
                f.write_str("a list of ")?;
                write_words(f, words)
            }
            TimeZone => f.write_str("a time zone by its IANA name"),
            Networks => f.write_str("a list of networks: `192.0.2.0/24`, `2001:db8::/32`"),
            Schedule => f.write_str("seconds, or a schedule: `3600`, `\"3600+600\"`, `\"1800,3600,7200\"`"),
            BaseUrl => f.write_str("an http(s) URL without a slash at its end"),
            Paths => f.write_str("a table of data-model paths and their values"),
            Notifications => f.write_str("a table of data-model paths, each `off`, `passive` or `active`"),
        }
    }
}

fn write_words(f: &mut fmt::Formatter<'_>, words: &[&str]) -> fmt::Result {
    for (index, word) in words.iter().enumerate() {
        write!(f, "{}`{word}`", if index == 0 { "" } else { ", " })?;
    }
    Ok(())
}

/// The section of that name.
pub fn section(name: &str) -> Option<&'static Section> {
    SECTIONS.iter().find(|section| section.name == name)
}

impl Section {
    /// The setting of that name.
    pub fn setting(&self, name: &str) -> Option<&'static Setting> {
        self.settings.iter().find(|setting| setting.name == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind that a value of an example could have been meant for.
    fn fits(kind: Kind, value: &toml::Value) -> bool {
        match (kind, value) {
            (Choice(words), toml::Value::String(text)) => words.contains(&text.as_str()),
            (Choices(words), toml::Value::Array(items)) => {
                items.iter().all(|item| item.as_str().is_some_and(|text| words.contains(&text)))
            }
            (Integer(min, max), toml::Value::Integer(number)) => (min..=max).contains(number),
            (Text | Secret | TimeZone | Schedule | BaseUrl, toml::Value::String(_))
            | (Schedule, toml::Value::Integer(_))
            | (Bool, toml::Value::Boolean(_)) => true,
            (Paths | Notifications, toml::Value::Table(_)) => true,
            (Texts | Networks, toml::Value::Array(items)) => items.iter().all(toml::Value::is_str),
            (Secret, toml::Value::Table(table)) => table.contains_key("env") || table.contains_key("file"),
            _ => false,
        }
    }

    #[test]
    fn the_examples_are_settings() {
        for section in SECTIONS {
            let example: toml::Table = section.example.parse().unwrap();
            assert_eq!(example.keys().collect::<Vec<_>>(), [section.name]);
            let mut table = example[section.name].as_table().unwrap();
            if section.shape == Shape::Numbered {
                table = table["1"].as_table().unwrap();
            }
            if matches!(section.shape, Shape::Table | Shape::Numbered) {
                for (name, value) in table {
                    let setting =
                        section.setting(name).unwrap_or_else(|| panic!("{}.{name} is no setting", section.name));
                    assert!(fits(setting.kind, value), "{}.{name} is not {}", section.name, setting.kind);
                }
            }
        }
    }
}
