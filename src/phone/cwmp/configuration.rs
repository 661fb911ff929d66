//! A phone's configuration as a file: what it takes from one that its server had it fetch, and what it writes into one that it sends.
//!
//! It is read by the same code that reads the phone's files of a resync. A parameter has two names then, one in the files and one in the
//! data model; whoever speaks last is right.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::Phone;
use super::memory::Transfer;
use super::soap::element;
use crate::delivery::{decrypt_aes_256_cbc, decrypt_aes128gcm, gunzip, is_gzip, is_salted};
use crate::model::Secret;
use crate::phone::aastra;
use crate::phone::cisco::Emulation;
use crate::phone::cisco::alias::AliasMap;
use crate::phone::cisco::profile::Profile;
use crate::phone::{Maker, Response, State, grandstream};

/// "File corrupted": it can't be read, or not decrypted.
const CORRUPTED: u16 = 9018;

/// Takes what a file says.
///
/// # Errors
/// With the fault that the phone tells.
pub fn take(phone: &Phone, state: &mut State, transfer: &Transfer, response: &Response) -> Result<(), u16> {
    let body = opened(phone, state, response).ok_or(CORRUPTED)?;
    let parameters = read(phone, &body).ok_or(CORRUPTED)?;
    // A backup of what was changed on an Aastra phone is that again.
    if phone.maker == Maker::Aastra && transfer.file_type.starts_with('1') {
        state.local.extend(parameters.iter().cloned());
    }
    forget(phone, state, parameters.iter().map(|(name, _)| name));
    state.parameters.extend(parameters);
    Ok(())
}

/// Decrypted and unpacked, as far as the phone has a key without a profile rule that names one.
fn opened(phone: &Phone, state: &State, response: &Response) -> Option<Bytes> {
    let emulation = Emulation::default();
    let held = |name: &str| super::tree::parameter(state, name).filter(|value| !value.is_empty());
    let coding = response.header("content-encoding").unwrap_or_default();
    let mut file = response.body.clone();
    if phone.maker == Maker::Cisco && coding.contains("aes128gcm") {
        let written = held("IKM_HTTP_Encrypt_Content")?;
        let material = emulation.keying_material.parse(written.trim().as_bytes()).ok()?;
        file = decrypt_aes128gcm(&file, &material).ok()?.into();
    }
    if phone.maker == Maker::Grandstream && is_salted(&file) {
        let password = Secret::new(held("P1359")?);
        let tries = grandstream::Behaviour::default().digests;
        let opened = tries.iter().filter_map(|digest| decrypt_aes_256_cbc(&file, &password, *digest).ok());
        // One wrong digest in 256 looks right by the padding alone.
        file = opened.filter(|text| text.first() == Some(&b'<')).map(Bytes::from).next()?;
    }
    if phone.maker == Maker::Cisco && is_gzip(&file) {
        file = gunzip(&file, emulation.max_profile).ok()?.into();
    }
    Some(file)
}

/// Names and values, in the file's order.
fn read(phone: &Phone, body: &[u8]) -> Option<Vec<(String, String)>> {
    let mac = phone.identity.mac;
    Some(match phone.maker {
        Maker::Aastra => {
            let profile = aastra::read(body, true).ok()?;
            profile.parameters.into_values().map(|parameter| (parameter.name, parameter.value)).collect()
        }
        Maker::Grandstream if body.first() == Some(&b'<') => {
            grandstream::read_xml(body, mac).ok()?.parameters.into_iter().collect()
        }
        Maker::Grandstream => grandstream::read_binary(body, mac).ok()?.into_iter().collect(),
        Maker::Cisco => {
            let profile = Profile::read(body, &AliasMap::parse("").ok()?).ok()?;
            profile.settings.into_iter().filter_map(|setting| Some((setting.name, setting.value?))).collect()
        }
    })
}

/// Forgets what was set of the data model that a file says anew, by the file's names: the last one wins.
pub fn forget<'n>(phone: &Phone, state: &mut State, names: impl Iterator<Item = &'n String>) {
    let said: BTreeSet<String> = names.map(|name| name.to_ascii_lowercase()).collect();
    for (path, name, _) in in_files(phone, state) {
        if said.contains(&name.to_ascii_lowercase()) {
            state.cwmp.parameters.remove(&path);
        }
    }
}

/// What was set of the data model, as far as the phone's files have a name for it: path, name and value.
fn in_files(phone: &Phone, state: &State) -> Vec<(String, String, String)> {
    let knowledge = phone.knowledge();
    let lines = knowledge.lines(&phone.identity.model);
    let named = state.cwmp.parameters.iter().filter_map(|(path, value)| {
        let entry = knowledge.model().find(path, &state.cwmp, lines)?;
        Some((path.clone(), entry.name_in_files(path)?, value.clone()))
    });
    named.collect()
}

/// The phone's state as its own files would have it: what a server set is a change like one that its user made.
pub fn with_set(phone: &Phone, state: &State) -> State {
    let mut own = state.clone();
    for (_, name, value) in in_files(phone, state) {
        let kept = if phone.maker == Maker::Aastra { &mut own.local } else { &mut own.parameters };
        kept.insert(name, value);
    }
    own
}

/// A phone's parameters as its own XML file.
pub fn provision(phone: &Phone, state: &State) -> String {
    let mut out = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<gs_provision version=\"1\"><mac>{}</mac><config version=\"1\">\n",
        phone.identity.mac
    );
    for (name, value) in &state.parameters {
        element(&mut out, name, value);
        out.push('\n');
    }
    out.push_str("</config></gs_provision>\n");
    out
}
