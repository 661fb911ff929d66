//! A revision of git, or a folder, as a deployment that can be loaded: for commands that compare what was with what is.
//!
//! The tree is read out by `git` itself, into a folder of its own that is gone when the value is dropped. Neither the
//! working tree nor the repository is touched: the index is a file of ours.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use crate::config::Config;
use crate::document::{Problem, Problems};
use crate::model::lexical;
use crate::resync::Generation;

/// Why a revision can't be had. What is shown says what to do.
#[derive(Debug, thiserror::Error)]
pub enum RevisionError {
    #[error("the program `git` can't be run, which reads revisions: {0} (install git, or compare two folders)")]
    NoGit(std::io::Error),
    #[error("{folder} is in no git repository that can be read: {why} (run this in the repository that holds the configuration, or compare two folders)", folder = folder.display())]
    NoRepository { folder: PathBuf, why: String },
    #[error("\"{0}\" is no name of a revision: none begins with \"-\"")]
    Option(String),
    #[error(
        "\"{name}\" is no folder with {config}, and no revision of {repository} (git log shows what there is; in CI the repository may hold its last commit only: check it out with fetch-depth: 0, or run `git fetch --unshallow`)",
        repository = repository.display()
    )]
    Unknown { name: String, config: String, repository: PathBuf },
    #[error(
        "{name} has no {config}: it was not there yet, or lay elsewhere (name it with --config as it is called in both)"
    )]
    NoConfig { name: String, config: String },
    #[error("{name} can't be read out of the repository: git {command}: {why}")]
    Git { name: String, command: &'static str, why: String },
    #[error("the folder to read {name} out into can't be made: {why}")]
    Folder { name: String, why: std::io::Error },
    /// Mistakes in its files; the paths are as of that revision.
    #[error("{0}")]
    Problems(Problems),
}

/// A deployment that lies in a folder: one that was there, or a revision that was read out.
#[derive(Debug)]
pub struct Deployment {
    /// As it is told: `HEAD~1`, `../other`.
    name: String,
    /// resyncd.toml in it.
    config: PathBuf,
    /// What no message is to name.
    root: Option<PathBuf>,
    /// Of a revision: the folder of the configuration as it lies there now. What lies outside the repository is in no
    /// revision, and taken from where it is.
    home: Option<PathBuf>,
    /// Removed with this.
    _folder: Option<TempDir>,
}

/// A loaded deployment.
#[derive(Debug)]
pub struct Loaded {
    pub config: Config,
    pub generation: Generation,
}

impl Deployment {
    /// The configuration as it lies there now.
    pub fn here(config: &Path) -> Self {
        Self { name: "the working tree".into(), config: config.to_owned(), root: None, home: None, _folder: None }
    }

    /// What the name means: a folder that holds the configuration by the same name, a configuration file itself, or a
    /// revision of the repository that holds `config`. A folder goes before a revision of the same name.
    ///
    /// # Errors
    /// If it is neither, or can't be read out.
    pub fn named(name: &str, config: &Path) -> Result<Self, RevisionError> {
        if name.starts_with('-') {
            return Err(RevisionError::Option(name.to_owned()));
        }
        match folder(name, config) {
            Some(found) => Ok(found),
            None => Self::revision(name, config),
        }
    }

    /// A revision of the repository that holds `config`, read out into a folder.
    ///
    /// # Errors
    /// If there is no such, or it can't be read out.
    pub fn revision(name: &str, config: &Path) -> Result<Self, RevisionError> {
        if name.starts_with('-') {
            return Err(RevisionError::Option(name.to_owned()));
        }
        let home = config.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let reading = Reading::new(name, home)?;
        let commit = reading.commit(&config.display().to_string())?;
        // Where the configuration lies in the repository; what it names lies relative to it.
        let place = reading.prefix.join(config.file_name().unwrap_or_default());
        let root = reading.folder.path().join("tree");
        reading.index(&commit)?;
        if !reading.lists(&place)? {
            return Err(RevisionError::NoConfig { name: name.to_owned(), config: place.display().to_string() });
        }
        reading.read_out(&[&place], &root)?;
        let found = Self {
            name: name.to_owned(),
            config: root.join(&place),
            root: Some(root.clone()),
            home: Some(home.to_owned()),
            _folder: None,
        };
        let loaded = found.load_config()?;
        // A repository may hold much else, firmware above all.
        let within = |path: &Path| lexical(path).strip_prefix(&root).map(Path::to_owned).ok();
        let wanted: Vec<PathBuf> =
            [&loaded.templates, &loaded.profiles].into_iter().filter_map(|p| within(p)).collect();
        reading.read_out(&wanted.iter().map(PathBuf::as_path).collect::<Vec<_>>(), &root)?;
        Ok(Self { _folder: Some(reading.folder), ..found })
    }

    /// As it is told: `HEAD~1`, `../other`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The configuration file.
    pub fn config(&self) -> &Path {
        &self.config
    }

    /// The folder that messages are told relative to; none where they name files as they are.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref()
    }

    /// Loads configuration, packs and settings.
    ///
    /// # Errors
    /// Everything that is wrong, by the files' names in that revision or folder.
    pub fn load(&self) -> Result<Loaded, RevisionError> {
        let config = self.load_config()?;
        let generation = Generation::load(&config.templates, &config.profiles, 1);
        let generation = generation.map_err(|problems| RevisionError::Problems(self.told(problems)))?;
        Ok(Loaded { config, generation })
    }

    fn load_config(&self) -> Result<Config, RevisionError> {
        let config = Config::load(&self.config).map_err(|problems| RevisionError::Problems(self.told(problems)))?;
        let (Some(root), Some(home), Some(folder)) = (&self.root, &self.home, self.config.parent()) else {
            return Ok(config);
        };
        let placed = |path: PathBuf| match path.strip_prefix(folder) {
            Ok(relative) if !lexical(&path).starts_with(root) => home.join(relative),
            _ => path,
        };
        Ok(Config { templates: placed(config.templates), profiles: placed(config.profiles), ..config })
    }

    /// Problems without the folder that the files happened to be read from.
    pub fn told(&self, problems: Problems) -> Problems {
        let Some(root) = &self.root else { return problems };
        let prefix = format!("{}/", root.display());
        let (place, joint) = (&self.name, if self.home.is_some() { ":" } else { "/" });
        let rooted = |text: String| text.replace(&prefix, "");
        let mut told = Problems::default();
        for problem in problems {
            let file = lexical(&problem.file);
            let file = match file.strip_prefix(lexical(root)) {
                Ok(within) => PathBuf::from(format!("{}{joint}{}", place.trim_end_matches('/'), within.display())),
                Err(_) => problem.file.to_path_buf(),
            };
            told.push(Problem {
                file: file.into(),
                line: problem.line,
                key: problem.key,
                message: rooted(problem.message),
                help: problem.help.map(rooted),
                rule: problem.rule,
            });
        }
        told
    }
}

/// A folder that holds the configuration by its relative or its file's name, or a file that is one.
fn folder(name: &str, config: &Path) -> Option<Deployment> {
    let path = Path::new(name);
    let file = if path.is_dir() {
        let file_name = config.file_name()?;
        let relative = config.is_relative() && config.components().all(|part| matches!(part, Component::Normal(_)));
        let nested = relative.then(|| path.join(config)).filter(|file| file.is_file());
        nested.or_else(|| Some(path.join(file_name)).filter(|file| file.is_file()))?
    } else if path.is_file() && path.extension().is_some_and(|extension| extension == "toml") {
        path.to_owned()
    } else {
        return None;
    };
    let root = if path.is_dir() { Some(path.to_owned()) } else { path.parent().map(Path::to_owned) };
    Some(Deployment {
        name: root.as_ref().map_or_else(|| name.to_owned(), |root| root.display().to_string()),
        config: file,
        root: root.filter(|root| !root.as_os_str().is_empty()),
        home: None,
        _folder: None,
    })
}

/// A revision that is being read out.
struct Reading<'r> {
    name: &'r str,
    /// The repository's top.
    top: PathBuf,
    /// The configuration's folder, relative to the top.
    prefix: PathBuf,
    /// Holds our index, and the tree.
    folder: TempDir,
}

impl<'r> Reading<'r> {
    fn new(name: &'r str, home: &Path) -> Result<Self, RevisionError> {
        let ask = |what: &str| -> Result<PathBuf, RevisionError> {
            let output = Command::new("git").arg("-C").arg(home).args(["rev-parse", what]).output();
            let output = output.map_err(RevisionError::NoGit)?;
            if !output.status.success() {
                return Err(RevisionError::NoRepository { folder: home.to_owned(), why: said(&output.stderr) });
            }
            Ok(path_from(output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout)))
        };
        let (top, prefix) = (ask("--show-toplevel")?, ask("--show-prefix")?);
        let folder = tempfile::Builder::new().prefix("resyncd-").tempdir();
        let folder = folder.map_err(|why| RevisionError::Folder { name: name.to_owned(), why })?;
        Ok(Self { name, top, prefix, folder })
    }

    fn git(&self) -> Command {
        let mut git = Command::new("git");
        git.arg("-C").arg(&self.top).env("GIT_INDEX_FILE", self.folder.path().join("index"));
        // Attributes and links are taken as the revision has them; nobody is there to be asked.
        git.env("GIT_TERMINAL_PROMPT", "0").stdin(Stdio::null());
        git
    }

    fn failed(&self, command: &'static str, why: impl ToString) -> RevisionError {
        RevisionError::Git { name: self.name.to_owned(), command, why: why.to_string() }
    }

    fn output(&self, command: &'static str, git: &mut Command) -> Result<Vec<u8>, RevisionError> {
        let output = git.output().map_err(RevisionError::NoGit)?;
        if output.status.success() { Ok(output.stdout) } else { Err(self.failed(command, said(&output.stderr))) }
    }

    /// The commit that the name means, as git's own number: from here on no text of the user's reaches git.
    fn commit(&self, config: &str) -> Result<String, RevisionError> {
        let mut git = self.git();
        git.args(["rev-parse", "--verify", "--quiet", "--end-of-options"]).arg(format!("{}^{{commit}}", self.name));
        let output = git.output().map_err(RevisionError::NoGit)?;
        let commit = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        if output.status.success() && !commit.is_empty() && commit.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(commit);
        }
        let (name, repository) = (self.name.to_owned(), self.top.clone());
        Err(RevisionError::Unknown { name, config: config.to_owned(), repository })
    }

    fn index(&self, commit: &str) -> Result<(), RevisionError> {
        self.output("read-tree", self.git().args(["read-tree", commit])).map(drop)
    }

    fn lists(&self, path: &Path) -> Result<bool, RevisionError> {
        let listed = self.output("ls-files", self.git().args(["ls-files", "-z", "--"]).arg(literal(path)))?;
        Ok(!listed.is_empty())
    }

    /// Writes what lies under these paths; all there is where a link is among it, for it may lead anywhere in the tree.
    fn read_out(&self, paths: &[&Path], root: &Path) -> Result<(), RevisionError> {
        let mut git = self.git();
        git.args(["ls-files", "--stage", "-z", "--"]).args(paths.iter().map(|path| literal(path)));
        let staged = if paths.is_empty() { Vec::new() } else { self.output("ls-files", &mut git)? };
        let has_link = staged.split(|byte| *byte == 0).any(|entry| entry.starts_with(b"120000 "));
        let mut list = Vec::with_capacity(staged.len());
        for entry in staged.split(|byte| *byte == 0) {
            // `mode object stage TAB path`
            if let Some(tab) = entry.iter().position(|byte| *byte == b'\t') {
                list.extend_from_slice(entry.get(tab + 1..).unwrap_or_default());
                list.push(0);
            }
        }
        let mut prefix = OsString::from("--prefix=");
        prefix.push(root);
        prefix.push("/");
        let mut git = self.git();
        git.args(["checkout-index", "--force", "--quiet"]).arg(prefix);
        if has_link {
            return self.output("checkout-index", git.arg("--all")).map(drop);
        }
        git.args(["-z", "--stdin"]).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = git.spawn().map_err(RevisionError::NoGit)?;
        // Git reads to the end before it says anything worth more than a line.
        let written = child.stdin.take().map_or(Ok(()), |mut stdin| stdin.write_all(&list));
        let output = child.wait_with_output().map_err(|error| self.failed("checkout-index", error))?;
        match written {
            _ if !output.status.success() => Err(self.failed("checkout-index", said(&output.stderr))),
            Err(error) => Err(self.failed("checkout-index", error)),
            Ok(()) => Ok(()),
        }
    }
}

/// A path that git takes as it is, whatever stars and colons it holds. Paths are relative to the repository's top.
fn literal(path: &Path) -> OsString {
    let mut literal = OsString::from(":(top,literal)");
    literal.push(if path.as_os_str().is_empty() { OsStr::new(".") } else { path.as_os_str() });
    literal
}

#[cfg(unix)]
fn path_from(bytes: &[u8]) -> PathBuf {
    use std::os::unix::ffi::OsStrExt;
    PathBuf::from(OsStr::from_bytes(bytes))
}

#[cfg(not(unix))]
fn path_from(bytes: &[u8]) -> PathBuf {
    PathBuf::from(String::from_utf8_lossy(bytes).into_owned())
}

/// What git said last, on one line.
fn said(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let line = text.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or("it says nothing");
    line.trim_start_matches("fatal: ").to_owned()
}
