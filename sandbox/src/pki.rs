//! The sandbox's own certificate authority.

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};

/// A certificate with its private key, both PEM.
#[derive(Clone)]
pub struct Identity {
    /// The certificate.
    pub certificate_pem: String,
    /// The private key (PKCS #8).
    pub key_pem: String,
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Identity")
            .field("certificate_pem", &self.certificate_pem)
            .finish_non_exhaustive()
    }
}

/// A certificate could not be made or read.
#[derive(Debug, thiserror::Error)]
#[error("cannot make or read a certificate of the sandbox: {0}")]
pub struct PkiError(#[from] rcgen::Error);

/// An authority that lives as long as a sandbox's data.
pub struct Pki {
    ca_pem: String,
    key_pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl std::fmt::Debug for Pki {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Pki")
            .field("ca_pem", &self.ca_pem)
            .finish_non_exhaustive()
    }
}

impl Pki {
    /// A new authority with a key of its own, named after the sandbox.
    ///
    /// # Errors
    /// When the random source or the encoder fails.
    pub fn generate(name: &str) -> Result<Self, PkiError> {
        let params = authority(name)?;
        let key = KeyPair::generate()?;
        let key_pem = key.serialize_pem();
        let ca_pem = params.self_signed(&key)?.pem();
        Ok(Self {
            ca_pem,
            key_pem,
            issuer: Issuer::new(params, key),
        })
    }

    /// The authority of the sandbox `name` again, from what [`Pki::ca_pem`] and [`Pki::ca_key_pem`] gave.
    ///
    /// # Errors
    /// When the key is damaged.
    pub fn load(name: &str, ca_pem: &str, key_pem: &str) -> Result<Self, PkiError> {
        let key = KeyPair::from_pem(key_pem)?;
        // Issuing needs the authority's name and key alone, both the same as at its making.
        let issuer = Issuer::new(authority(name)?, key);
        Ok(Self {
            ca_pem: ca_pem.to_owned(),
            key_pem: key_pem.to_owned(),
            issuer,
        })
    }

    /// The certificate of the authority, PEM.
    #[must_use]
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// The private key of the authority, PEM. It never leaves the sandbox's directory.
    #[must_use]
    pub fn ca_key_pem(&self) -> &str {
        &self.key_pem
    }

    /// A certificate for a TLS server that is reached under these DNS names and IP addresses.
    ///
    /// # Errors
    /// When a name is no valid DNS name.
    pub fn server(&self, common_name: &str, names: &[&str]) -> Result<Identity, PkiError> {
        self.issue(
            common_name,
            &[],
            names,
            &[ExtendedKeyUsagePurpose::ServerAuth],
        )
    }

    /// A certificate for a server behind a service inside the cluster, under every name by which the API server calls it.
    ///
    /// # Errors
    /// When the names make no valid DNS name.
    pub fn service(&self, namespace: &str, service: &str) -> Result<Identity, PkiError> {
        let short = format!("{service}.{namespace}.svc");
        let long = format!("{short}.cluster.local");
        let middle = format!("{service}.{namespace}");
        self.server(&short, &[&short, &long, &middle])
    }

    /// A client certificate: Kubernetes reads the user from the common name, the groups from the organisations.
    ///
    /// # Errors
    /// When the encoder fails.
    pub fn client(&self, user: &str, groups: &[&str]) -> Result<Identity, PkiError> {
        self.issue(user, groups, &[], &[ExtendedKeyUsagePurpose::ClientAuth])
    }

    fn issue(
        &self,
        common_name: &str,
        organisations: &[&str],
        names: &[&str],
        usages: &[ExtendedKeyUsagePurpose],
    ) -> Result<Identity, PkiError> {
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        for name in names {
            params.subject_alt_names.push(match name.parse() {
                Ok(address) => SanType::IpAddress(address),
                Err(_) => SanType::DnsName((*name).try_into()?),
            });
        }
        params
            .distinguished_name
            .push(DnType::CommonName, common_name);
        for organisation in organisations {
            params
                .distinguished_name
                .push(DnType::OrganizationName, *organisation);
        }
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyEncipherment,
        ];
        params.extended_key_usages = usages.to_vec();
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?;
        Ok(Identity {
            certificate_pem: certificate.pem(),
            key_pem: key.serialize_pem(),
        })
    }
}

fn authority(name: &str) -> Result<CertificateParams, PkiError> {
    let mut params = CertificateParams::new(Vec::<String>::new())?;
    params
        .distinguished_name
        .push(DnType::CommonName, format!("pipectl sandbox {name}"));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![
        KeyUsagePurpose::KeyCertSign,
        KeyUsagePurpose::CrlSign,
        KeyUsagePurpose::DigitalSignature,
    ];
    Ok(params)
}
