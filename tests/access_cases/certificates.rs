//! TLS, and clients that are known by their certificates.

use guerdon::access::Role;
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SanType};
use tonic::Code;
use tonic::metadata::MetadataMap;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

use super::kit::*;
use crate::support::binary::command;
use crate::support::contract::{rpc, showing};

/// An authority of certificates.
struct Authority {
    pem: String,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "the authority of the tests");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let pem = params.self_signed(&key).unwrap().pem();
        Authority { pem, issuer: Issuer::new(params, key) }
    }

    /// Certificate and key, as PEM.
    fn gives(&self, names: Vec<SanType>) -> (String, String) {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.subject_alt_names = names;
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn uri(name: &str) -> SanType {
    SanType::URI(name.try_into().unwrap())
}

const CREDENTIALS: &str = r#"
[[certificates]]
name = "tills"
san = "tills.shop.internal"
roles = ["checkout"]
programs = ["marlow-bakery"]

[[certificates]]
name = "desk"
san = "spiffe://shop/help-desk"
roles = ["support"]
programs = ["marlow-bakery"]
agent = "desk"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn f5_clients_are_known_by_the_names_in_their_certificates() {
    let (ours, theirs, of_server) = (Authority::new(), Authority::new(), Authority::new());
    let dir = tempfile::tempdir().unwrap();
    let (certificate, key) = of_server.gives(vec![dns("localhost")]);
    let file = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let (certificate, key) = (file("server.pem", &certificate), file("server.key", &key));
    let (client_ca, server_ca) = (file("clients.pem", &ours.pem), file("ca.pem", &of_server.pem));
    let with_key = format!("{CREDENTIALS}{}", entry("keyed", &[Role::Checkout], &["*"], ""));
    let server = Guarded::start_in(
        dir,
        &with_key,
        &[("tls_certificate", &certificate), ("tls_key", &key), ("tls_client_ca", &client_ca), ("clock", "follow")],
    )
    .await;
    let port = server.server.addr().port();
    let connect = async |identity: Option<(String, String)>| -> Result<Channel, tonic::transport::Error> {
        let tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(&of_server.pem));
        let tls = identity.into_iter().fold(tls, |tls, (pem, key)| tls.identity(Identity::from_pem(pem, key)));
        Endpoint::from_shared(format!("https://localhost:{port}"))?.tls_config(tls)?.connect().await
    };
    let call = async |channel: &Channel, method: &str, shown: &MetadataMap| {
        let rpc = rpc(method);
        let answer = rpc.call(channel, &rpc.request("marlow-bakery"), shown).await;
        answer.map_or_else(|status| status.code(), |_| Code::Ok)
    };
    let nothing = MetadataMap::new();

    let tills = connect(Some(ours.gives(vec![dns("other.internal"), dns("tills.shop.internal")]))).await.unwrap();
    assert_eq!(call(&tills, "Enroll", &nothing).await, Code::Ok);
    assert_eq!(call(&tills, "Adjust", &nothing).await, Code::PermissionDenied);
    // A wrong key is not made up for by a right certificate.
    assert_eq!(call(&tills, "Enroll", &showing("gdn_wrong")).await, Code::Unauthenticated);

    let desk = connect(Some(ours.gives(vec![uri("spiffe://shop/help-desk")]))).await.unwrap();
    // The certificate belongs to one agent, whom the request need not name and for whom it can name no other.
    let adjust = rpc("Adjust");
    let mut request = adjust.request("marlow-bakery");
    let status = adjust.call(&desk, &request, &nothing).await.unwrap_err();
    assert_eq!((status.code(), reason(&status).as_str()), (Code::InvalidArgument, "REQUEST_MALFORMED"));
    assert!(status.message().contains("`agent_id` is not the agent"), "{}", status.message());
    request.clear_field_by_name("agent_id");
    adjust.call(&desk, &request, &nothing).await.expect("adjusted by the desk");

    for (why, channel) in [
        ("a name that is in no entry", connect(Some(ours.gives(vec![dns("shop.internal")]))).await.unwrap()),
        ("no name", connect(Some(ours.gives(Vec::new()))).await.unwrap()),
        ("a name as of another kind", connect(Some(ours.gives(vec![dns("spiffe")]))).await.unwrap()),
        ("no certificate", connect(None).await.unwrap()),
    ] {
        assert_eq!(call(&channel, "GetMember", &nothing).await, Code::Unauthenticated, "{why}");
        assert_eq!(call(&channel, "GetMember", &showing(&key_of("keyed"))).await, Code::Ok, "{why}, and a key");
    }
    // One by an authority that is not ours is not let through to a call at all.
    let strange = connect(Some(theirs.gives(vec![dns("tills.shop.internal")]))).await;
    let refused = match strange {
        Err(_) => true,
        Ok(channel) => call(&channel, "GetMember", &showing(&key_of("keyed"))).await != Code::Ok,
    };
    assert!(refused);

    // The commands speak TLS too, and show a key.
    let target = format!("https://localhost:{port}");
    let key_file = server.dir.path().join("key");
    std::fs::write(&key_file, format!("{}\n", key_of("keyed"))).unwrap();
    let run = |args: &[&str]| command(args).output().unwrap();
    let health = run(&["health", "--target", &target, "--tls-ca", &server_ca]);
    assert_eq!(health.status.code(), Some(0), "{health:?}");
    let explain = [
        "explain",
        "--member",
        "mia",
        "--order",
        "none",
        "--program",
        "marlow-bakery",
        "--target",
        &target,
        "--tls-ca",
        &server_ca,
    ];
    let without = run(&explain);
    assert!(String::from_utf8_lossy(&without.stdout).contains("UNAUTHENTICATED"), "{without:?}");
    let by_file = run(&[&explain[..], &["--key-file", key_file.to_str().unwrap()]].concat());
    let by_variable = command(&explain).env("GUERDON_KEY", key_of("keyed")).output().unwrap();
    for found in [by_file, by_variable] {
        let told = String::from_utf8_lossy(&found.stdout);
        assert!(
            !told.contains("UNAUTHENTICATED") && told.contains("order"),
            "it was let in, and there is no order: {told}"
        );
    }
    let load = ["load", "--members", "3", "--warm-up", "1ms", "--duration", "100ms", "--target", &target];
    let load = [&load[..], &["--program-id", "marlow-bakery"]].concat();
    let with_key = [&load[..], &["--tls-ca", &server_ca, "--key-file", key_file.to_str().unwrap()]].concat();
    let found = run(&with_key);
    assert_eq!(found.status.code(), Some(0), "{found:?}");
    let of_others = server.dir.path().join("others.pem");
    std::fs::write(&of_others, &theirs.pem).unwrap();
    let distrusting = [&load[..], &["--tls-ca", of_others.to_str().unwrap(), "--deadline", "1s"]].concat();
    assert_ne!(run(&distrusting).status.code(), Some(0));
}

#[tokio::test]
async fn f5_tls_files_that_cannot_be_used_end_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let junk = dir.path().join("junk.pem");
    std::fs::write(&junk, "no PEM").unwrap();
    let credentials = dir.path().join("c.toml");
    std::fs::write(&credentials, CREDENTIALS).unwrap();
    let (junk, credentials) = (junk.display().to_string(), credentials.display().to_string());
    for file in ["no/such.pem", &junk] {
        let args = [
            "serve",
            "--program",
            BAKERY,
            "--store",
            "memory",
            "--listen",
            "127.0.0.1:0",
            "--log-format",
            "json",
            "--credentials",
            &credentials,
            "--tls-certificate",
            file,
            "--tls-key",
            file,
        ];
        let output = command(&args).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(64), "{said}");
        assert!(said.contains("TLS cannot be set up"), "{said}");
    }
}
