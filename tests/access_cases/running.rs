//! A server as operators run it: started with a credentials file, whose changes it follows, and whose secrets stay
//! where they are.

use std::fmt::Write as _;

use guerdon::access::{Credentials, Faults, Role};
use guerdon::grpc::wire;
use guerdon::grpc::wire::member_service_client::MemberServiceClient;
use tonic::transport::Endpoint;
use tonic::{Code, Request};

use super::kit::*;
use crate::support::binary::{Binary, command, output};

fn enroll(member: &str, key: &str) -> Request<wire::EnrollRequest> {
    let message = wire::EnrollRequest {
        member_id: member.to_owned(),
        request_id: format!("enrol-{member}"),
        ..wire::EnrollRequest::default()
    };
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
    request
}

#[tokio::test]
async fn f5_the_file_is_followed_without_dropping_calls_and_no_secret_is_logged() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials.toml");
    let path = file.to_str().unwrap();
    // The first key is made as the documentation says.
    let made =
        output(&["key", "new", "--name", "tills", "--role", "checkout", "--program", "marlow-bakery", "--file", path]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    let first = String::from_utf8(made.stdout).unwrap().trim().to_owned();
    assert!(first.starts_with("gdn_") && first.len() == 68, "the key alone is printed: {first:?}");
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&first));

    let mut binary = Binary::serve(&[
        "serve",
        "--program",
        BAKERY,
        "--listen",
        "127.0.0.1:0",
        "--store",
        "memory",
        "--log-format",
        "json",
        "--log-filter",
        "trace",
        "--credentials",
        path,
    ]);
    let addr = binary.addr();
    let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut members = MemberServiceClient::new(channel);
    members.enroll(enroll("mia", &first)).await.expect("the first key is good");
    let wrong = "gdn_0123456789abcdef-a-wrong-one";
    let refused = members.enroll(enroll("leo", wrong)).await.unwrap_err();
    assert_eq!(refused.code(), Code::Unauthenticated);

    // A second key beside the first.
    let before = std::fs::read_to_string(&file).unwrap();
    let second = key_of("second");
    let mut both = before.clone();
    writeln!(both, "{}", entry("second", &[Role::Checkout], &["marlow-bakery"], "")).unwrap();
    std::fs::write(&file, both).unwrap();
    binary.signal("-HUP");
    binary.says("the credentials have changed");
    for (member, key) in [("leo", &first), ("ada", &second)] {
        members.enroll(enroll(member, key)).await.expect("on the same connection as before");
    }
    // A file with faults changes nothing.
    std::fs::write(&file, format!("{before}\n[[keys]]\nname = \"{first}\"\nsha256 = 12")).unwrap();
    binary.signal("-HUP");
    binary.says("the credentials stay as they were");
    members.enroll(enroll("joe", &second)).await.expect("as before");
    // Without the first key, whose owner is then locked out.
    std::fs::write(&file, entry("second", &[Role::Checkout], &["marlow-bakery"], "")).unwrap();
    binary.signal("-HUP");
    binary.says("the credentials have changed");
    assert_eq!(members.enroll(enroll("eve", &first)).await.unwrap_err().code(), Code::Unauthenticated);
    members.enroll(enroll("eve", &second)).await.expect("still good");

    binary.signal("-TERM");
    let (status, said) = binary.end();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("a call is not let in"), "it is logged that a call was refused");
    for secret in [&first[4..], &second[4..], &wrong[4..]] {
        assert!(!said.contains(secret), "a log at its finest holds a key:\n{said}");
    }
}

#[tokio::test]
async fn f5_administrative_writes_are_in_the_audit_and_other_calls_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials.toml");
    let boss = entry("boss", &[Role::Admin], &["marlow-bakery"], "agent = \"ada\"");
    std::fs::write(&file, entry("help-desk", &[Role::Support], &["marlow-bakery"], "") + &boss).unwrap();
    let (path, key) = (file.to_str().unwrap(), key_of("help-desk"));
    let base = ["serve", "--program", BAKERY, "--listen", "127.0.0.1:0", "--store", "memory", "--log-format", "json"];
    let mut binary = Binary::serve(&[&base[..], &["--credentials", path]].concat());
    let addr = binary.addr();
    let channel = Endpoint::from_shared(format!("http://{addr}")).unwrap().connect().await.unwrap();
    let mut members = MemberServiceClient::new(channel);
    members.enroll(enroll("mia", &key)).await.unwrap();
    let adjust = |request_id: &str, amount: i64| {
        let mut adjust = Request::new(wire::AdjustRequest {
            member_id: "mia".to_owned(),
            request_id: request_id.to_owned(),
            amount,
            reason: wire::AdjustReason::Goodwill.into(),
            agent_id: "zoe".to_owned(),
            note: "waited, long".to_owned(),
            ..wire::AdjustRequest::default()
        });
        adjust.metadata_mut().insert("authorization", format!("Bearer {key}").parse().unwrap());
        adjust
    };
    members.adjust(adjust("adjust-mia", 5)).await.unwrap();
    // Refused before it is decided: that is in the log alone.
    assert_eq!(members.adjust(adjust("nothing", 0)).await.unwrap_err().code(), Code::InvalidArgument);
    let mut erase = Request::new(wire::EraseRequest {
        member_id: "mia".to_owned(),
        request_id: "erase-mia".to_owned(),
        ..wire::EraseRequest::default()
    });
    erase.metadata_mut().insert("authorization", format!("Bearer {}", key_of("boss")).parse().unwrap());

    // Whoever may ask reads it on the command line.
    let audit = |who: &str, more: &[&str]| {
        let key_file = dir.path().join(who);
        std::fs::write(&key_file, key_of(who)).unwrap();
        let base = ["audit", "--target", &addr.to_string(), "--key-file", key_file.to_str().unwrap()];
        let ended = output(&[&base[..], more].concat());
        let lines: Vec<String> = String::from_utf8(ended.stdout).unwrap().lines().map(str::to_owned).collect();
        (ended.status.code(), lines, String::from_utf8_lossy(&ended.stderr).into_owned())
    };
    let mut lines = Vec::new();
    for _ in 0..200 {
        lines = audit("boss", &[]).1;
        if lines.len() == 2 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let header = "position,recorded_at,decided_at,principal,agent_id,method,member_id,account_id,request_id,reason,refused_for,note";
    let [found_header, adjusted] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!(found_header, header);
    let who = ",help-desk,zoe,guerdon.v1.MemberService/Adjust,mia,mia,adjust-mia,GOODWILL,,\"waited, long\"";
    assert!(adjusted.starts_with("1,20") && adjusted.ends_with(who), "{adjusted}");
    members.erase(erase).await.unwrap();
    for _ in 0..200 {
        lines = audit("boss", &["--newest-first", "--limit", "1", "--from", "2020-01-01"]).1;
        if lines[1].starts_with("2,") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let who = ",boss,ada,guerdon.v1.MemberService/Erase,mia,mia,erase-mia,,,";
    assert!(lines.len() == 2 && lines[1].starts_with("2,20") && lines[1].ends_with(who), "{lines:?}");
    for (more, expected) in [
        (&["--principal", "help-desk"][..], &["1"][..]),
        (&["--agent", "ada"], &["2"]),
        (&["--method", "Erase"], &["2"]),
        (&["--member", "leo"], &[]),
        (&["--after", "1"], &["2"]),
        (&["--until", "2020-01-01"], &[]),
        (&["--from", "2020-01-01", "--limit", "1"], &["1"]),
        (&["--program-id", "marlow-bakery"], &["1", "2"]),
    ] {
        let (code, lines, said) = audit("boss", more);
        let positions: Vec<&str> = lines[1..].iter().map(|line| line.split(',').next().unwrap()).collect();
        assert_eq!((code, &positions[..]), (Some(0), expected), "{more:?}: {said}");
    }
    for (who, more, word) in [
        ("help-desk", &[][..], "PERMISSION_DENIED"),
        ("boss", &["--method", "Conjure"], "`method` is"),
        ("boss", &["--program-id", "rival"], "PROGRAM_UNKNOWN"),
    ] {
        let (code, _, said) = audit(who, more);
        assert!(code == Some(1) && said.contains(word), "{who} {more:?}: {code:?} {said}");
    }

    binary.signal("-TERM");
    let (_, said) = binary.end();
    let audit: Vec<&str> = said.lines().filter(|line| line.contains("\"guerdon::audit\"")).collect();
    assert_eq!(audit.len(), 3, "{said}");
    for (line, parts) in audit.iter().zip([
        ["help-desk", "guerdon.v1.MemberService/Adjust", "adjust-mia", "marlow-bakery", "Ok"],
        ["help-desk", "guerdon.v1.MemberService/Adjust", "call", "principal", "InvalidArgument"],
        ["boss", "guerdon.v1.MemberService/Erase", "erase-mia", "marlow-bakery", "Ok"],
    ]) {
        for part in parts {
            assert!(line.contains(part), "{part}: {line}");
        }
    }
}

#[test]
fn f5_a_server_without_a_good_credentials_file_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("credentials.toml");
    std::fs::write(&file, "[[keys]]\nname = \"x\"\nsha256 = \"zz\"\nroles = []\nprograms = [\"*\"]\n").unwrap();
    let base = ["serve", "--program", BAKERY, "--store", "memory", "--log-format", "json"];
    for (args, words) in [
        (&[][..], &["--credentials (GUERDON_CREDENTIALS, credentials) is not set", "guerdon key new"][..]),
        (&["--credentials", file.to_str().unwrap()], &["key `x`: `sha256` is no hash", "key `x`: `roles` must name"]),
        (&["--credentials", "no/such.toml"], &["no/such.toml cannot be read"]),
        (&["--insecure-dev", "--listen", "0.0.0.0:0"], &["does not go with listening on 0.0.0.0:0"]),
    ] {
        let ended = command(&[&base, args].concat()).output().unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(64), "{args:?}: {said}");
        for word in words {
            assert!(said.contains(word), "{args:?}: `{word}` is missing in {said}");
        }
    }
}

#[test]
fn f5_everything_that_is_wrong_with_the_file_is_said_at_once() {
    let hash = "0".repeat(64);
    let key = |lines: &str| {
        format!("[[keys]]\nname = \"a\"\nsha256 = \"{hash}\"\nroles = [\"checkout\"]\nprograms = [\"p\"]\n{lines}\n")
    };
    let tokens = "[tokens]\nissuer = \"i\"\naudience = \"a\"\nroles = [\"admin\"]\nprograms = [\"*\"]\n";
    let token_key = |algorithm: &str, file: &str| {
        format!("{tokens}[[tokens.keys]]\nkid = \"k\"\nalgorithm = \"{algorithm}\"\npublic_key = \"{file}\"\n")
    };
    // text, all faults in their order
    for (text, expected) in [
        (String::new(), &["nobody is named"][..]),
        (key(""), &[]),
        (key("agent = \"zoe\"\ncalls_per_second = 5\ncalls_burst = 9"), &[]),
        (key("calls_per_second = 0"), &["key `a`: `calls_per_second` must be 1 to 1000000"]),
        (key("calls_burst = 1"), &["key `a`: `calls_burst` needs `calls_per_second`"]),
        (key("agent = \"\""), &["key `a`: `agent` must not be empty"]),
        (key("secret = 1"), &["line 6: unknown field `secret`"]),
        (key("").replace("checkout", "root"), &["key `a`: `roles` must name one or more of checkout, support"]),
        (key("").replace("[\"p\"]", "[]"), &["key `a`: `programs` must list 1 to 64"]),
        (key("").replace("[\"p\"]", "[\"p\", \"*\"]"), &[]),
        (key("").replace("\"a\"", "\"\""), &["key ``: `name` must not be empty"]),
        (
            format!("{}{}", key(""), key("")),
            &["key `a`: the name is used before", "key `a`: `sha256` is that of another"],
        ),
        (key("").replace(&hash, &key_of("x")), &["key `a`: `sha256` is no hash"]),
        (key("").replace(&format!("\"{hash}\""), "7"), &["line 3: invalid type"]),
        ("keys = \"gdn_secret\"".to_owned(), &["line 1: a key stands here"]),
        (tokens.to_owned(), &["line 1: missing field `keys`"]),
        (token_key("HS256", "x"), &["[tokens] key `k`: `algorithm` must be"]),
        (token_key("ES256", "x"), &["[tokens] key `k`: x is not there"]),
        (token_key("ES256", "junk"), &["[tokens] key `k`: junk is no public key"]),
    ] {
        let open = |file: &str| if file == "junk" { Ok("junk".to_owned()) } else { Err("is not there".to_owned()) };
        let found = match Credentials::parse(&text, &open) {
            Ok(_) => Vec::new(),
            Err(Faults(faults)) => faults,
        };
        // `*` is an id like any other where it does not stand alone.
        assert_eq!(found.len(), expected.len(), "{text}\n{found:?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(found.starts_with(expected), "{text}\n{found} is not {expected}");
        }
    }
}
