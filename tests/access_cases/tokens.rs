//! Signed tokens: whose are accepted, and what they allow.

use guerdon::access::{Access, Bearer, Credentials, Denied, Presented, Programs, method};
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};
use serde_json::{Value, json};

/// 2100-01-01, and a day of 2020.
const LATER: i64 = 4_102_444_800;
const EARLIER: i64 = 1_577_836_800;

fn base64(bytes: &[u8], alphabet: &[u8; 64]) -> String {
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let n = chunk.iter().fold(0_usize, |n, byte| n << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for at in 0..=chunk.len() {
            text.push(char::from(alphabet[n >> (18 - 6 * at) & 63]));
        }
    }
    text
}

const STANDARD: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const URL: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

fn pem(prefix: &[u8], key: &[u8]) -> String {
    let mut text = base64(&[prefix, key].concat(), STANDARD);
    text.push_str(["", "=", "=="][(4 - text.len() % 4) % 4]);
    format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n")
}

/// One that signs, as an issuer does.
enum Signer {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
}

impl Signer {
    fn ec() -> Signer {
        let random = SystemRandom::new();
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        Signer::Ec(EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, pkcs8.as_ref(), &random).unwrap())
    }

    fn ed() -> Signer {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        Signer::Ed(Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap())
    }

    fn public_key(&self) -> String {
        // How a public key of each kind begins (RFC 5480, RFC 8410).
        const EC: &[u8] =
            b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00";
        const ED: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";
        match self {
            Signer::Ec(key) => pem(EC, key.public_key().as_ref()),
            Signer::Ed(key) => pem(ED, key.public_key().as_ref()),
        }
    }

    fn sign(&self, message: &str) -> Vec<u8> {
        match self {
            Signer::Ec(key) => key.sign(&SystemRandom::new(), message.as_bytes()).unwrap().as_ref().to_vec(),
            Signer::Ed(key) => key.sign(message.as_bytes()).as_ref().to_vec(),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let [header, claims] = [header, claims].map(|part| base64(part.to_string().as_bytes(), URL));
        let message = format!("{header}.{claims}");
        let signature = base64(&self.sign(&message), URL);
        format!("{message}.{signature}")
    }
}

fn claims(change: Value) -> Value {
    let mut claims = json!({
        "sub": "zoe", "iss": "https://login.example", "aud": "guerdon", "exp": LATER,
        "roles": ["support"], "programs": ["bakery"],
    });
    for (name, value) in change.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

fn credentials(keys: &[(&str, &str, &Signer)]) -> Credentials {
    let mut text = "[tokens]\nissuer = \"https://login.example\"\naudience = \"guerdon\"\n\
                    roles = [\"support\", \"analyst\"]\nprograms = [\"bakery\", \"cafe\"]\ncalls_per_second = 100\n"
        .to_owned();
    for (kid, algorithm, _) in keys {
        text.push_str(&format!(
            "[[tokens.keys]]\nkid = {kid:?}\nalgorithm = {algorithm:?}\npublic_key = \"{kid}.pem\"\n"
        ));
    }
    let pems: Vec<(String, String)> =
        keys.iter().map(|(kid, _, key)| (format!("{kid}.pem"), key.public_key())).collect();
    let open =
        |file: &str| pems.iter().find(|(name, _)| name == file).map(|(_, pem)| pem.clone()).ok_or("gone".to_owned());
    Credentials::parse(&text, &open).unwrap()
}

fn admit(access: &Access, token: &str) -> Result<std::sync::Arc<guerdon::access::Principal>, Denied> {
    let shown = Presented { bearer: Bearer::Text(token), certificate: None };
    access.admit(method("guerdon.v1.MemberService/Adjust"), shown)
}

#[test]
fn f5_a_token_is_who_it_says_within_what_its_issuer_may_grant() {
    let (ec, ed, other) = (Signer::ec(), Signer::ed(), Signer::ec());
    let access = Access::of(credentials(&[("ec-1", "ES256", &ec), ("ed-1", "EdDSA", &ed)]));
    let es = json!({"alg": "ES256", "kid": "ec-1"});
    let good = ec.token(&es, &claims(json!({})));
    let principal = admit(&access, &good).unwrap();
    assert_eq!((principal.name(), principal.agent().unwrap().as_str()), ("zoe", "zoe"));
    assert!(matches!(principal.programs(), Programs::Only(programs) if programs.len() == 1));
    assert_eq!(principal.rate().unwrap().per_second.get(), 100);
    let signed_by_ed = ed.token(&json!({"alg": "EdDSA", "kid": "ed-1"}), &claims(json!({"aud": ["other", "guerdon"]})));
    admit(&access, &signed_by_ed).unwrap();

    let es_token = |change: Value| ec.token(&es, &claims(change));
    let dot = good.rfind('.').unwrap();
    // why not
    for (why, token) in [
        ("expired", es_token(json!({"exp": EARLIER}))),
        ("without an end", es_token(json!({"exp": null}))),
        ("its end is a text", es_token(json!({"exp": "4102444800"}))),
        ("not yet valid", es_token(json!({"nbf": LATER - 1}))),
        ("its beginning is a text", es_token(json!({"nbf": "0"}))),
        ("for others", es_token(json!({"aud": "somebody-else"}))),
        ("for nobody", es_token(json!({"aud": null}))),
        ("by another issuer", es_token(json!({"iss": "https://evil.example"}))),
        ("by no issuer", es_token(json!({"iss": null}))),
        ("of nobody", es_token(json!({"sub": null}))),
        ("of a name that is none", es_token(json!({"sub": "a|b"}))),
        ("with no role", es_token(json!({"roles": []}))),
        ("with a role that is none", es_token(json!({"roles": ["support", "root"]}))),
        ("with more roles than its issuer may grant", es_token(json!({"roles": ["support", "admin"]}))),
        ("with no program", es_token(json!({"programs": []}))),
        ("with more programs than its issuer may grant", es_token(json!({"programs": ["bakery", "rival"]}))),
        ("with all programs", es_token(json!({"programs": ["*"]}))),
        ("with a key that is not known", ec.token(&json!({"alg": "ES256", "kid": "ec-2"}), &claims(json!({})))),
        ("with no key named", ec.token(&json!({"alg": "ES256"}), &claims(json!({})))),
        ("signed by somebody else", other.token(&es, &claims(json!({})))),
        ("signed with another kind of key", ed.token(&json!({"alg": "EdDSA", "kid": "ec-1"}), &claims(json!({})))),
        ("said to be signed in another way", ec.token(&json!({"alg": "EdDSA", "kid": "ed-1"}), &claims(json!({})))),
        (
            "not signed",
            format!(
                "{}.{}.",
                base64(br#"{"alg":"none","kid":"ec-1"}"#, URL),
                base64(claims(json!({})).to_string().as_bytes(), URL)
            ),
        ),
        (
            "signed with the public key as a secret",
            ec.token(&json!({"alg": "HS256", "kid": "ec-1"}), &claims(json!({}))),
        ),
        ("cut off", good[..dot].to_owned()),
        ("with another end", format!("{}A", &good[..good.len() - 2])),
        (
            "with other claims",
            format!(
                "{}.{}.{}",
                good.split('.').next().unwrap(),
                base64(claims(json!({"sub": "eve"})).to_string().as_bytes(), URL),
                &good[dot + 1..]
            ),
        ),
        ("far too long", es_token(json!({"more": "x".repeat(10_000)}))),
        ("no token", "a.b.c".to_owned()),
    ] {
        assert_eq!(admit(&access, &token).err(), Some(Denied::NotAccepted), "{why}");
    }
    let analyst = ec.token(&es, &claims(json!({"roles": ["analyst"]})));
    assert!(matches!(admit(&access, &analyst), Err(Denied::NotAllowed { .. })), "known, and not allowed to adjust");
}

#[test]
fn f5_keys_of_an_issuer_change_while_both_are_in_force() {
    let (old, new) = (Signer::ec(), Signer::ec());
    let signed_by = |key: &Signer, kid: &str| key.token(&json!({"alg": "ES256", "kid": kid}), &claims(json!({})));
    let (by_old, by_new) = (signed_by(&old, "2026-11"), signed_by(&new, "2026-12"));
    let access = Access::of(credentials(&[("2026-11", "ES256", &old)]));
    assert_eq!((admit(&access, &by_old).is_ok(), admit(&access, &by_new).is_ok()), (true, false));
    access.replace(credentials(&[("2026-11", "ES256", &old), ("2026-12", "ES256", &new)]));
    assert_eq!((admit(&access, &by_old).is_ok(), admit(&access, &by_new).is_ok()), (true, true));
    access.replace(credentials(&[("2026-12", "ES256", &new)]));
    assert_eq!((admit(&access, &by_old).is_ok(), admit(&access, &by_new).is_ok()), (false, true));
}
