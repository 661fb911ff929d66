//! Root is for binding ports below 1024 and for nothing else: given up once every listener is bound, before anything is
//! written, and for good.

use std::ffi::CString;
use std::os::unix::fs::chown;
use std::path::Path;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User, geteuid, initgroups, setgid, setuid};

use crate::config::Process;

/// Why the server can't run as it should.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    #[error("process.{key}: there is no {key} \"{name}\" on this machine; make it (useradd --system {name})")]
    Unknown { key: &'static str, name: String },
    #[error("process.user: \"{0}\" is root by another name; name another user")]
    StillRoot(String),
    #[error("resyncd can't become \"{user}\": {why}")]
    Refused { user: String, why: Errno },
    #[error("resyncd became \"{0}\" and could become root again; this system is not one that it can serve on")]
    Reversible(String),
}

/// Says so where it serves as root and nobody has said that it should. No more than that: a container has nobody else.
pub fn warn_of_root(process: &Process) {
    if geteuid().is_root() && process.user.is_none() && !process.keep_root {
        tracing::warn!(
            "serving as root: set process.user to the user that it is to become, start it as that user (systemd: User=), \
             or set process.keep_root = true"
        );
    }
}

/// Who a server started as root becomes.
#[derive(Debug)]
pub struct Becoming {
    name: String,
    uid: Uid,
    gid: Gid,
}

impl Becoming {
    /// Looks the user and group up; none where the server stays who it is. Started as anyone but root it can't become
    /// anybody, and need not.
    ///
    /// # Errors
    /// Where there is no such user or group.
    pub fn of(process: &Process) -> Result<Option<Self>, PrivilegeError> {
        let Some(name) = process.user.clone().filter(|_| geteuid().is_root()) else { return Ok(None) };
        let unknown = |key, name: &str| PrivilegeError::Unknown { key, name: name.to_owned() };
        let user = User::from_name(&name).ok().flatten().ok_or_else(|| unknown("user", &name))?;
        if user.uid.is_root() {
            return Err(PrivilegeError::StillRoot(name));
        }
        let gid = match &process.group {
            None => user.gid,
            Some(group) => {
                let found = Group::from_name(group).ok().flatten().ok_or_else(|| unknown("group", group))?;
                found.gid
            }
        };
        Ok(Some(Self { name, uid: user.uid, gid }))
    }

    /// Gives the user a folder that was just made for it.
    ///
    /// # Errors
    /// Where the system refuses.
    pub fn own(&self, folder: &Path) -> Result<(), PrivilegeError> {
        let done = chown(folder, Some(self.uid.as_raw()), Some(self.gid.as_raw()));
        done.map_err(|error| self.refused(Errno::from_raw(error.raw_os_error().unwrap_or_default())))
    }

    /// Becomes the user, in all threads, with its groups and without root's.
    ///
    /// # Errors
    /// Where the system refuses, or would let it go back.
    pub fn become_it(&self) -> Result<(), PrivilegeError> {
        let refused = |why| self.refused(why);
        let name = CString::new(self.name.as_str()).map_err(|_| refused(Errno::EINVAL))?;
        initgroups(&name, self.gid).map_err(refused)?;
        setgid(self.gid).map_err(refused)?;
        setuid(self.uid).map_err(refused)?;
        if setuid(Uid::from_raw(0)).is_ok() {
            return Err(PrivilegeError::Reversible(self.name.clone()));
        }
        tracing::info!(user = self.name, "serving as {} from now on", self.name);
        Ok(())
    }

    fn refused(&self, why: Errno) -> PrivilegeError {
        PrivilegeError::Refused { user: self.name.clone(), why }
    }
}
