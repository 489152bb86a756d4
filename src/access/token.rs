//! Signed tokens (JWT) of an issuer whose public keys are in the credentials file.

use std::sync::{Arc, Once};

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Validation, decode, decode_header};
use quick_cache::sync::Cache;
use ring::signature::{ECDSA_P256_SHA256_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256, VerificationAlgorithm};
use serde::Deserialize;

use super::rate::{Limiter, Rate};
use super::{Principal, Programs, Role, file};
use crate::domain::id::Label;

/// Longer ones are not looked at.
const TOKEN_BYTES_MAX: usize = 8 * 1024;
/// Agents whose calls are counted at one time; the busiest stay.
const COUNTED_MAX: usize = 10_000;

/// Whose tokens are accepted, and what they may grant at most.
pub(super) struct Issuer {
    pub(super) keys: Vec<Key>,
    pub(super) roles: Vec<Role>,
    pub(super) programs: Programs,
    pub(super) rate: Option<Rate>,
    issuer: String,
    audience: String,
    limiters: Arc<Cache<Label, Arc<Limiter>>>,
}

/// One public key. Several are in force while keys change.
pub(super) struct Key {
    pub(super) kid: String,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
}

#[derive(Deserialize)]
struct Claims {
    sub: String,
    roles: Vec<String>,
    programs: Vec<String>,
}

impl Issuer {
    pub(super) fn new(
        issuer: String,
        audience: String,
        keys: Vec<Key>,
        roles: Vec<Role>,
        programs: Programs,
        rate: Option<Rate>,
    ) -> Issuer {
        static INSTALLED: Once = Once::new();
        INSTALLED.call_once(|| {
            // An error would mean that there is one already, which only this line could have set.
            let _ = RING.install_default();
        });
        Issuer { keys, roles, programs, rate, issuer, audience, limiters: Arc::new(Cache::new(COUNTED_MAX)) }
    }

    /// Goes on counting where `before` stopped, if its tokens may call as often.
    pub(super) fn with_rates_of(mut self, before: &Issuer) -> Issuer {
        if self.rate == before.rate {
            self.limiters = Arc::clone(&before.limiters);
        }
        self
    }

    /// Who the token is for; `None`: it is not accepted.
    pub(super) fn principal(&self, token: &str) -> Option<Principal> {
        if TOKEN_BYTES_MAX < token.len() {
            return None;
        }
        let kid = decode_header(token).ok()?.kid?;
        let key = self.keys.iter().find(|key| key.kid == kid)?;
        // The algorithm is that of the key, whatever the token says.
        let mut validation = Validation::new(key.algorithm);
        validation.set_audience(&[&self.audience]);
        validation.set_issuer(&[&self.issuer]);
        validation.set_required_spec_claims(&["exp", "aud", "iss", "sub"]);
        validation.validate_nbf = true;
        let Claims { sub, roles, programs } = decode::<Claims>(token, &key.key, &validation).ok()?.claims;
        let agent = Label::parse(&sub).ok()?;
        let roles: Option<Vec<Role>> = roles.iter().map(|role| Role::parse(role)).collect();
        let roles = roles.filter(|roles| !roles.is_empty() && roles.iter().all(|role| self.roles.contains(role)))?;
        let programs = file::programs(&programs).ok().filter(|programs| self.programs.cover(programs))?;
        let limiter = self.rate.map(|rate| {
            let made = self.limiters.get_or_insert_with(&agent, || Ok(Arc::new(Limiter::new(rate))));
            made.unwrap_or_else(|never: std::convert::Infallible| match never {})
        });
        Some(Principal { name: sub.into(), roles, programs, agent: Some(agent), limiter })
    }
}

/// The algorithm of that name, if it is one of a key pair: a secret that both sides know would let whoever reads the
/// file make tokens.
pub(super) fn algorithm(name: &str) -> Option<Algorithm> {
    match name {
        "ES256" => Some(Algorithm::ES256),
        "RS256" => Some(Algorithm::RS256),
        "EdDSA" => Some(Algorithm::EdDSA),
        _ => None,
    }
}

pub(super) fn public_key(algorithm: Algorithm, pem: &[u8]) -> Result<DecodingKey> {
    match algorithm {
        Algorithm::ES256 => DecodingKey::from_ec_pem(pem),
        Algorithm::RS256 => DecodingKey::from_rsa_pem(pem),
        Algorithm::EdDSA => DecodingKey::from_ed_pem(pem),
        _ => Err(ErrorKind::InvalidAlgorithm.into()),
    }
}

/// The library that TLS uses checks signatures here too; nothing is ever signed.
static RING: CryptoProvider = CryptoProvider {
    signer_factory: |_: &Algorithm, _: &EncodingKey| -> Result<Box<dyn JwtSigner>> {
        Err(ErrorKind::InvalidAlgorithm.into())
    },
    verifier_factory: |algorithm: &Algorithm, key: &DecodingKey| -> Result<Box<dyn JwtVerifier>> {
        let method: &'static dyn VerificationAlgorithm = match algorithm {
            Algorithm::ES256 => &ECDSA_P256_SHA256_FIXED,
            Algorithm::RS256 => &RSA_PKCS1_2048_8192_SHA256,
            Algorithm::EdDSA => &ED25519,
            _ => return Err(ErrorKind::InvalidAlgorithm.into()),
        };
        if key.family() != algorithm.family() {
            return Err(ErrorKind::InvalidKeyFormat.into());
        }
        let key = key.try_get_as_bytes()?.to_vec();
        Ok(Box::new(RingVerifier { algorithm: *algorithm, method, key }))
    },
    key_utils: KeyUtils::new_unimplemented(),
};

struct RingVerifier {
    algorithm: Algorithm,
    method: &'static dyn VerificationAlgorithm,
    key: Vec<u8>,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let key = ring::signature::UnparsedPublicKey::new(self.method, &self.key);
        key.verify(message, signature).map_err(|_| Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
