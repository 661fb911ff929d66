//! `resyncd device add`, `set` and `rm`.

use serde_json::{Map, Value};

use crate::cli::fleet::{Manner, block_on, carry_out, open};
use crate::cli::{Ending, Failure, assignment};
use crate::config::Config;
use crate::document::Problems;
use crate::fleet::{Edit, Expect, Liberties, Name, What};
use crate::model::MacAddr;

/// What a record says beside its settings.
#[derive(Debug, clap::Args)]
struct Texts {
    /// Its model, as `resyncd packs` lists them.
    #[arg(long, value_name = "MODEL")]
    model: Option<String>,
    /// Its serial number.
    #[arg(long, value_name = "SERIAL")]
    serial: Option<String>,
    /// Its group: one of profiles/groups, or of `resyncd group set`.
    #[arg(long, value_name = "NAME")]
    group: Option<String>,
}

impl Texts {
    fn object(&self) -> Map<String, Value> {
        let texts = [("model", &self.model), ("serial", &self.serial), ("group", &self.group)];
        texts.into_iter().filter_map(|(key, text)| Some((key.to_owned(), text.clone()?.into()))).collect()
    }
}

/// How a change is made.
#[derive(Debug, clap::Args)]
struct How {
    /// Show what would change, and change nothing.
    #[arg(long)]
    dry_run: bool,
    /// Take the serial number away from the device whose record has it.
    #[arg(long)]
    move_serials: bool,
}

impl How {
    fn manner(&self) -> Manner {
        Manner { dry_run: self.dry_run, liberties: Liberties { move_serials: self.move_serials }, many: false }
    }
}

/// Add a device to the database.
///
/// What is set here is stronger than every file. Phones get it with their next resync. Exit code 1 if it is refused:
/// there is a record already, or something is wrong with it.
///
/// Whoever is logged in here can read the arguments of every process. Write a secret as SETTING=@FILE, or SETTING=@- for
/// standard input; it is then kept out of them, and of the shell's history. (@@ stands for a value that begins with @.)
#[derive(Debug, clap::Args)]
pub struct Add {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    #[command(flatten)]
    texts: Texts,
    /// Settings by their dotted names: lines.1.user=1001 lines.1.password=@- params.Time_Zone=GMT. Lists have ; between.
    #[arg(value_name = "SETTING=VALUE")]
    settings: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// Change a device in the database.
///
/// What isn't named stays as it is. A device that has only a file gets a record over it. Secrets are best written as
/// SETTING=@FILE or SETTING=@-: see `resyncd device add --help`.
#[derive(Debug, clap::Args)]
pub struct Set {
    /// The phone's MAC address, in any spelling.
    mac: MacAddr,
    #[command(flatten)]
    texts: Texts,
    /// Settings by their dotted names; unset=NAME;NAME takes away what weaker layers set.
    #[arg(value_name = "SETTING=VALUE")]
    settings: Vec<String>,
    /// Take a setting (or a section, or model, serial, group) out of the record: what files say of it holds again.
    #[arg(long, value_name = "SETTING")]
    unset: Vec<String>,
    #[command(flatten)]
    how: How,
}

/// Remove devices from the database.
///
/// Where a device has a file, too, what its file says holds again. All of them are removed, or none.
#[derive(Debug, clap::Args)]
pub struct Remove {
    /// The phones' MAC addresses, in any spelling.
    #[arg(required = true)]
    macs: Vec<MacAddr>,
    /// Show what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

impl Add {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let mut object = self.texts.object();
        object.insert("settings".to_owned(), assignment::read(&self.settings)?.into());
        let edit = Edit { row: None, name: Name::Device(self.mac), what: What::Put(object), expect: Expect::Absent };
        block_on(async { carry_out(&open(config).await?, vec![edit], Problems::default(), self.how.manner()).await })
    }
}

impl Set {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let (mut object, mut settings) = (self.texts.object(), assignment::read(&self.settings)?);
        assignment::without(&mut settings, &mut object, &self.unset);
        if object.is_empty() && settings.is_empty() {
            let message = "say what is to be set: --model, --serial, --group, SETTING=VALUE or --unset SETTING";
            return Err(Failure::Other(message.to_owned()));
        }
        object.insert("settings".to_owned(), settings.into());
        block_on(async {
            let fleet = open(config).await?;
            // A record over a file is begun here; one for a phone that nobody knows is a slip of the pen.
            let has_file = fleet.generation().profiles.device(self.mac).is_some();
            let expect = if has_file { Expect::Any } else { Expect::Present };
            let edit = Edit { row: None, name: Name::Device(self.mac), what: What::Merge(object), expect };
            carry_out(&fleet, vec![edit], Problems::default(), self.how.manner()).await
        })
    }
}

impl Remove {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let remove =
            |mac: &MacAddr| Edit { row: None, name: Name::Device(*mac), what: What::Remove, expect: Expect::Any };
        let edits = self.macs.iter().map(remove).collect();
        let manner = Manner { dry_run: self.dry_run, ..Manner::default() };
        block_on(async { carry_out(&open(config).await?, edits, Problems::default(), manner).await })
    }
}
