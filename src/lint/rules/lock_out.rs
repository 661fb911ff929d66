use crate::lint::cisco::kind_of;
use crate::lint::rule::rule;
use crate::lint::served::Answer;
use crate::lint::{About, DeviceView, Finding, Findings, Rule};
use crate::phone::cisco::rule::Kind;
use crate::phone::{Maker, aastra, grandstream};

rule! {
    /// A phone is sent where nothing of this server answers it.
    ///
    /// # What the phone does
    ///
    /// Its next resync goes there, and the one after: no later profile reaches it, and somebody has to go and see it.
    ///
    /// # How to mend it
    ///
    /// Send it to a path of its pack (`resyncd packs NAME` lists them) on a listener of this server. Where another
    /// server is meant, say so in a comment.
    ///
    /// What stands before this server (a proxy, an address translation) isn't known here; a port that no listener has
    /// is told of as a note.
    pub struct LockOut = "lock-out", Error;
}

impl Rule for LockOut {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        // Without it nobody has said where phones reach this server.
        let Some(url) = view.settings.text("provisioning.url") else { return };
        listener(view, url, findings);
        match view.maker {
            Some(Maker::Cisco) => cisco(view, findings),
            Some(Maker::Aastra) => {
                let Some(aastra::Base::Http(base)) = aastra::base(view.parameters()) else { return };
                let names = ["http server", "https server", "http path", "https path"];
                place(view, &format!("{base}/{}.cfg", view.device.mac.upper()), &names, findings);
            }
            Some(Maker::Grandstream) => {
                let scheme = url.split("://").next();
                let Some(grandstream::Base::Http(base)) =
                    grandstream::base(view.parameters(), scheme.unwrap_or("https"))
                else {
                    return;
                };
                let name = format!("{base}/cfg{}", view.device.mac);
                if matches!(answer(view, &name), Some(Answer::File | Answer::OnDisk(_))) {
                    return;
                }
                place(view, &format!("{name}.xml"), &["P237"], findings);
            }
            None => {}
        }
    }
}

/// What is at a URL; none where it is another server's.
fn answer(view: &DeviceView<'_>, url: &str) -> Option<Answer> {
    view.own_path(url).map(|path| view.at_path(&path))
}

/// Whether a listener could be what the URL names.
fn listener(view: &DeviceView<'_>, url: &str, findings: &mut Findings) {
    let Some((scheme, rest)) = url.split_once("://") else { return };
    let is_tls = scheme == "https";
    let server = rest.split('/').next().unwrap_or_default();
    let port = server.rsplit_once(':').filter(|(_, port)| !port.contains(']')).map(|(_, port)| port);
    let has = |tls: bool| {
        view.deployment
            .listeners(tls)
            .any(|listener| port.is_none_or(|port| listener.address.port().to_string() == port))
    };
    let report = |message: String| view.at_setting(message, "provisioning.url");
    if port.is_some() && !has(is_tls) && has(!is_tls) {
        let speaks = if is_tls { "plain HTTP" } else { "TLS" };
        findings.report(report(format!("the listener at this port speaks {speaks}")));
    } else if !has(is_tls) {
        let finding = match port {
            Some(port) => report(format!("no listener has the port {port}")),
            None => report(format!("no listener speaks {scheme}")),
        };
        findings.report(finding.note());
    }
}

fn cisco(view: &DeviceView<'_>, findings: &mut Findings) {
    let (Some(phone), Some((file, profile))) = (view.cisco(), view.own()) else { return };
    for parameter in profile.parameters(view.pack) {
        if kind_of(parameter.name) != Some(Kind::Profile) || !parameter.name.starts_with("Profile_Rule") {
            continue;
        }
        for url in phone.places(parameter.value, Kind::Profile) {
            let generic = url.to_string().replace(&view.device.mac.to_string(), "$MA");
            let message = match answer(view, &url.to_string()) {
                Some(Answer::File | Answer::OnDisk(_)) => continue,
                Some(Answer::OfOthers) => format!("{} leads to a file of other phones: {generic}", parameter.name),
                Some(Answer::Nothing) => format!("{} leads to {generic}, and no file has this path", parameter.name),
                None => format!("{} leads to {generic}, which is not provisioning.url's server", parameter.name),
            };
            findings.report(view.at_parameter(message, file, &parameter));
        }
    }
}

/// For phones whose parameters name a folder: what they would ask for in it.
fn place(view: &DeviceView<'_>, url: &str, names: &[&str], findings: &mut Findings) {
    let generic = url.replace(&view.device.mac.upper(), "<MAC>").replace(&view.device.mac.to_string(), "<mac>");
    let message = match answer(view, url) {
        Some(Answer::File | Answer::OnDisk(_)) => return,
        Some(Answer::OfOthers) => format!("the phone is sent to a file of other phones: {generic}"),
        Some(Answer::Nothing) => format!("the phone is sent to {generic}, and no file has this path"),
        None => format!("the phone is sent to {generic}, which is not provisioning.url's server"),
    };
    let own = view.own();
    let set = own.and_then(|(file, profile)| {
        let mut all = profile.parameters(view.pack);
        all.find(|parameter| names.contains(&parameter.name) && super::is_params(parameter))
            .map(|parameter| view.at_parameter(message.clone(), file, &parameter))
    });
    let finding: Finding = set.unwrap_or_else(|| view.at_setting(message.clone(), "provisioning.url"));
    findings.report(finding);
}
