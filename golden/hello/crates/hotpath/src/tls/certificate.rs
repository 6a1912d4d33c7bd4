//! What a certificate says: whose it is, and how long.
use crate::caller::Caller;
use std::time::{Duration, SystemTime};
use x509_cert::der::Decode as _;
use x509_cert::ext::pkix::{SubjectAltName, name::GeneralName};

/// What is read of a certificate.
#[derive(Debug)]
pub(super) struct Certificate {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// When it ends, for people.
    pub(super) ends: String,
    uris: Vec<String>,
    dns: Vec<String>,
}

impl Certificate {
    /// Reads a certificate in DER.
    ///
    /// # Errors
    /// If it is none.
    pub(super) fn read(der: &[u8]) -> Result<Self, String> {
        let certificate = x509_cert::Certificate::from_der(der).map_err(|error| format!("no certificate: {error}"))?;
        let certificate = certificate.tbs_certificate;
        let names = certificate.get::<SubjectAltName>().map_err(|error| format!("its names: {error}"))?;
        let (mut uris, mut dns) = (Vec::new(), Vec::new());
        for name in names.map_or_else(Vec::new, |(_critical, names)| names.0) {
            match name {
                GeneralName::UniformResourceIdentifier(uri) => uris.push(uri.to_string()),
                GeneralName::DnsName(name) => dns.push(name.to_string()),
                _ => {}
            }
        }
        let validity = certificate.validity;
        Ok(Self {
            not_before: validity.not_before.to_system_time(),
            not_after: validity.not_after.to_system_time(),
            ends: validity.not_after.to_string(),
            uris,
            dns,
        })
    }

    /// Checks that it is one to serve with at `now`.
    ///
    /// # Errors
    /// If it has ended, or says only in its common name whose it is, which clients do not read.
    pub(super) fn check(&self, now: SystemTime) -> Result<(), String> {
        if self.not_after <= now {
            return Err(format!("the certificate ended at {}: renew it", self.ends));
        }
        if self.uris.is_empty() && self.dns.is_empty() {
            return Err("the certificate names no host: give it a subject alternative name (dnsNames)".into());
        }
        Ok(())
    }

    /// How long it is still valid.
    pub(super) fn left(&self, now: SystemTime) -> Duration {
        self.not_after.duration_since(now).unwrap_or_default()
    }

    /// The caller that it stands for: its one URI, or else its DNS names. The common name counts for nothing.
    ///
    /// # Errors
    /// If it has several URIs, or no name at all.
    pub(super) fn into_caller(self) -> Result<Caller, String> {
        match (self.uris.as_slice(), self.dns.split_first()) {
            ([uri], _) => Ok(Caller::new(uri, Vec::new())),
            ([], Some((first, others))) => Ok(Caller::new(first, others.to_vec())),
            ([], None) => Err("the certificate has no URI and no DNS name that says who calls".into()),
            (several, _) => Err(format!("the certificate has {} URIs, and one says who calls", several.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(uris: &[&str], dns: &[&str]) -> Certificate {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Certificate {
            not_before: SystemTime::UNIX_EPOCH,
            not_after: SystemTime::UNIX_EPOCH + Duration::from_secs(60),
            ends: "1970-01-01T00:01:00Z".into(),
            uris: owned(uris),
            dns: owned(dns),
        }
    }

    #[test]
    fn a_uri_stands_before_names_and_only_one_may() {
        let caller = certificate(&["spiffe://acme/checkout"], &["checkout"]).into_caller().unwrap();
        assert!(caller.is("spiffe://acme/checkout") && !caller.is("checkout"));
        let caller = certificate(&[], &["checkout", "checkout.shop"]).into_caller().unwrap();
        assert_eq!(caller.identity(), "checkout");
        assert!(caller.is("checkout.shop") && !caller.is("shop"));
        for (uris, dns) in [(&["spiffe://a/b", "spiffe://a/c"][..], &["b"][..]), (&[], &[])] {
            assert!(certificate(uris, dns).into_caller().is_err(), "{uris:?} {dns:?}");
        }
    }

    #[test]
    fn one_that_has_ended_is_said_with_its_end() {
        let certificate = certificate(&[], &["orders"]);
        let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        certificate.check(at(59)).unwrap();
        assert_eq!(certificate.left(at(59)), Duration::from_secs(1));
        let error = certificate.check(at(60)).unwrap_err();
        assert!(error.contains("ended at 1970-01-01T00:01:00Z"), "{error}");
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        assert!(Certificate::read(b"nothing").unwrap_err().starts_with("no certificate: "));
    }
}
