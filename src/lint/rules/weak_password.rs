use super::weak_key::weakness;
use crate::identity::Access;
use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};

rule! {
    /// A device's own password that can be guessed.
    ///
    /// # What the phone does
    ///
    /// It shows the password for its files, and so does everybody who guesses it: they get the SIP password with them.
    /// An answer to Digest that was captured can be tried out at leisure.
    ///
    /// # How to mend it
    ///
    /// `resyncd device credentials MAC --rotate` makes one of 130 bits, and the phone gets it with its next profile.
    /// Otherwise take a random one: `openssl rand -hex 16`.
    ///
    /// A password that stands in an environment or a file which isn't there is not looked at.
    pub struct WeakPassword = "weak-password", Warning;
}

/// Bytes below which a password can be tried out against a captured digest: of random letters and digits, 71 bits.
const SHORTEST: usize = 12;

impl Rule for WeakPassword {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let Some(credentials) = Access::of(view.settings).credentials else { return };
        let Some(password) = credentials.current() else { return };
        let is_user = password.expose().eq_ignore_ascii_case(credentials.user().as_bytes());
        let weakness =
            if is_user { Some("is the user".to_owned()) } else { weakness(&password, view.device, SHORTEST) };
        if let Some(weakness) = weakness {
            findings.report(view.at_setting(format!("the device's password {weakness}"), "credentials.password"));
        }
    }
}
