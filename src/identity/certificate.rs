//! The subject of a certificate, out of OpenSSL's hands into plain text.

use std::fmt::Write as _;

use openssl::x509::{X509, X509NameRef, X509Ref};

use super::Subject;

impl Subject {
    /// The subject of a certificate, its fields in their order, each by OpenSSL's short name (`CN`, `OU`, `serialNumber`); a
    /// field that OpenSSL has no name for goes by its dotted number.
    pub fn from_x509(certificate: &X509Ref) -> Self {
        Self::from_name(certificate.subject_name())
    }

    /// Any name of a certificate: its subject or its issuer.
    pub fn from_name(name: &X509NameRef) -> Self {
        let fields = name.entries().map(|entry| {
            let object = entry.object();
            let short_name = match object.nid().short_name() {
                Ok(name) if name != "UNDEF" => name.to_owned(),
                _ => format!("{object}"),
            };
            let data = entry.data();
            let value = data.to_string().ok().filter(|text| is_text(text));
            (short_name, value.unwrap_or_else(|| escaped(data.as_slice())))
        });
        Self(fields.collect())
    }
}

/// The subjects of every certificate in a PEM file, in their order.
pub fn subjects_of_pem(pem: &[u8]) -> Result<Vec<Subject>, NoCertificates> {
    let certificates = X509::stack_from_pem(pem).map_err(|_| NoCertificates)?;
    if certificates.is_empty() {
        return Err(NoCertificates);
    }
    Ok(certificates.iter().map(|certificate| Subject::from_x509(certificate)).collect())
}

/// A file that is no PEM file of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("holds no certificate: it should be a PEM file that begins with -----BEGIN CERTIFICATE-----")]
pub struct NoCertificates;

/// Whether a converted field is text throughout. U+FFFD is what OpenSSL's conversion leaves of bytes that are none; a control
/// character has no place in a name, and a NUL is the classic way to make `000e08abcdef\0…` pass for another.
fn is_text(value: &str) -> bool {
    !value.chars().any(|character| character.is_control() || character == char::REPLACEMENT_CHARACTER)
}

/// Every byte as `\xNN`: still to be read by a person, but equal to no MAC, serial or model, nor holding one.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 4), |mut text, byte| {
        // Writing to a String can't fail.
        let _ = write!(text, "\\x{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use openssl::asn1::Asn1Type;
    use openssl::nid::Nid;
    use openssl::x509::{X509Name, X509NameBuilder};

    use super::*;

    fn name(entries: impl FnOnce(&mut X509NameBuilder)) -> X509Name {
        let mut builder = X509Name::builder().unwrap();
        entries(&mut builder);
        builder.build()
    }

    #[test]
    fn fields_go_by_their_short_names_in_order() {
        let name = name(|builder| {
            builder.append_entry_by_text("OU", "CP-6841-3PCC").unwrap();
            builder.append_entry_by_text("L", "88012BA01234").unwrap();
            builder.append_entry_by_text("ST", "000e08abcdef").unwrap();
            builder.append_entry_by_text("serialNumber", "PID:CP-8841 SN:FCH1").unwrap();
            builder.append_entry_by_text("1.3.6.1.4.1.9.99999", "odd").unwrap();
        });
        assert_eq!(
            Subject::from_name(&name).to_string(),
            "OU=CP-6841-3PCC, L=88012BA01234, ST=000e08abcdef, serialNumber=PID:CP-8841 SN:FCH1, 1.3.6.1.4.1.9.99999=odd"
        );
    }

    #[test]
    fn other_encodings_become_the_same_text() {
        let name = name(|builder| {
            builder.append_entry_by_nid_with_type(Nid::COMMONNAME, "000E08ABCDEF", Asn1Type::PRINTABLESTRING).unwrap();
            builder.append_entry_by_nid_with_type(Nid::ORGANIZATIONNAME, "Ac\u{e9}", Asn1Type::UTF8STRING).unwrap();
        });
        let subject = Subject::from_name(&name);
        assert_eq!(subject.only("CN"), Some("000E08ABCDEF"));
        assert_eq!(subject.only("O"), Some("Ac\u{e9}"));
    }

    #[test]
    fn what_is_not_text_equals_nothing_real() {
        let name = name(|builder| {
            builder.append_entry_by_text("CN", "000e08abcdef\0evil").unwrap();
            builder.append_entry_by_text("OU", "two\nlines").unwrap();
        });
        let subject = Subject::from_name(&name);
        let common_name = subject.only("CN").unwrap();
        assert!(common_name.starts_with("\\x30\\x30\\x30\\x65"), "{common_name}");
        assert!(!subject.to_string().contains('\n'));
        assert!(!is_text("a\u{fffd}"));
    }
}
