use crate::lint::rule::rule;
use crate::lint::{About, DeviceView, Findings, Rule};
use crate::packs::data_model::ConnectionRequest;

rule! {
    /// `acs.connection_way` wants a device to be asked in a way in which it can't be.
    ///
    /// # What the phone does
    ///
    /// It opens sessions when its interval says, and is never asked to: no connection request is sent to it.
    ///
    /// # How to mend it
    ///
    /// What is missing is told: a STUN server (`stun.address`), a SIP proxy (`connection_requests.notify.proxy`), or
    /// `acs.check_sync = "inform"`, without which a NOTIFY might have the phone start anew. Where the model hears no
    /// such request, choose another way, or remove `acs.connection_way`.
    pub struct ConnectionWay = "connection-way", Warning;
}

impl Rule for ConnectionWay {
    fn about(&self) -> &'static About {
        &Self::ABOUT
    }

    fn device(&self, view: &DeviceView<'_>, findings: &mut Findings) {
        let (config, model) = (view.deployment.config, view.device.model);
        let data_model = view.deployment.generation.packs.get(model.pack).and_then(|pack| pack.data_model.as_ref());
        let quirks = data_model.filter(|known| known.is_for(model.model)).map(|known| known.quirks(Some(model.model)));
        let missing = match (view.settings.text("acs.connection_way"), quirks) {
            (Some("http" | "udp" | "notify"), None) => "no ACS manages phones of its model",
            (Some("http"), Some(quirks)) if quirks.connection_request == ConnectionRequest::None => {
                "phones of its model hear no connection requests over HTTP"
            }
            (Some("udp"), _) if config.stun.address.is_none() => "there is no STUN server (stun.address)",
            (Some("notify"), Some(quirks)) if quirks.notify.is_none() => "phones of its model come for no SIP NOTIFY",
            (Some("notify"), _) if config.connection_requests.notify.proxy.is_none() => {
                "there is no SIP proxy (connection_requests.notify.proxy)"
            }
            (Some("notify"), _)
                if !matches!(view.settings.text("acs.check_sync"), Some("inform" | "inform-and-call")) =>
            {
                "acs.check_sync is not \"inform\""
            }
            _ => return,
        };
        let message = format!("the device is never asked to open a session: {missing}");
        findings.report(view.at_setting(message, "acs.connection_way"));
    }
}
