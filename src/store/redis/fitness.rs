//! Whether a Redis can keep what this store promises, as far as it tells about itself.

use crate::store::Error;

/// RESP3, and what the commit script calls, are there and were tried from this version on.
const VERSION_MIN: (u32, u32) = (6, 2);

/// What a server says of itself.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Fitness {
    /// Another one after every start of the server.
    pub(super) run_id: Box<str>,
    pub(super) replica: bool,
    /// What is allowed and may lose data.
    pub(super) warnings: Vec<String>,
}

/// Reads the answer to `INFO`.
///
/// # Errors
/// [`Error::Unfit`] for a server that cannot keep the promise: too old, or one that evicts keys when it is full.
pub(super) fn fitness(info: &str) -> Result<Fitness, Error> {
    let field = |name: &str| field(info, name);
    let unfit = |what: String| Error::Unfit { what };
    let version = field("redis_version").unwrap_or_default();
    let mut numbers = version.split('.').map(|number| number.parse().unwrap_or(0));
    if (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) < VERSION_MIN {
        let (major, minor) = VERSION_MIN;
        return Err(unfit(format!("Redis is of version `{version}`, at least {major}.{minor} is needed")));
    }
    let policy = field("maxmemory_policy").unwrap_or("noeviction");
    if policy != "noeviction" && field("maxmemory") != Some("0") {
        // What is evicted first may be a receipt: its request would be applied a second time.
        let what = format!("Redis forgets keys when it is full: `maxmemory-policy {policy}`; set `noeviction`");
        return Err(unfit(what));
    }
    let mut warnings = Vec::new();
    if policy != "noeviction" {
        warnings.push(format!("`maxmemory-policy {policy}` would let it forget keys once `maxmemory` is set"));
    }
    if field("aof_enabled") == Some("0") {
        warnings.push("`appendonly no`: what was acknowledged since the last snapshot is lost when it ends".to_owned());
    }
    Ok(Fitness {
        run_id: field("run_id").unwrap_or_default().into(),
        replica: field("role") == Some("slave"),
        warnings,
    })
}

/// What `appendfsync` means for a server that told this of itself.
pub(super) fn of_fsync(info: &str, appendfsync: &str) -> Option<String> {
    let lossy = appendfsync != "always" && field(info, "aof_enabled") == Some("1");
    lossy.then(|| format!("`appendfsync {appendfsync}`: a crash loses what it acknowledged in the last second or more"))
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(version: &str, maxmemory: &str, policy: &str, aof: &str, role: &str) -> String {
        format!(
            "# Server\r\nredis_version:{version}\r\nrun_id:ab12\r\n# Memory\r\nmaxmemory:{maxmemory}\r\n\
             maxmemory_policy:{policy}\r\n# Persistence\r\naof_enabled:{aof}\r\n# Replication\r\nrole:{role}\r\n"
        )
    }

    #[test]
    fn a_server_that_cannot_keep_the_promise_is_refused() {
        for (version, maxmemory, policy, fit) in [
            ("7.0.15", "0", "noeviction", true),
            ("6.2.0", "100", "noeviction", true),
            ("10.0", "0", "noeviction", true),
            ("7.0.15", "0", "allkeys-lru", true), // nothing is evicted without a limit: a warning
            ("7.0.15", "100", "allkeys-lru", false),
            ("7.0.15", "100", "volatile-ttl", false),
            ("6.0.16", "0", "noeviction", false),
            ("5.0.7", "0", "noeviction", false),
            ("?", "0", "noeviction", false),
        ] {
            let found = fitness(&info(version, maxmemory, policy, "1", "master"));
            assert_eq!(found.is_ok(), fit, "{version} {maxmemory} {policy}: {found:?}");
        }
    }

    #[test]
    fn what_may_lose_data_is_said() {
        for (policy, aof, fsync, expected) in [
            ("noeviction", "1", "always", 0),
            ("noeviction", "1", "everysec", 1),
            ("noeviction", "1", "no", 1),
            ("noeviction", "0", "everysec", 1),
            ("allkeys-lru", "0", "always", 2),
        ] {
            let info = info("7.0.15", "0", policy, aof, "master");
            let mut warnings = fitness(&info).unwrap().warnings;
            warnings.extend(of_fsync(&info, fsync));
            assert_eq!(warnings.len(), expected, "{policy} {aof} {fsync}: {warnings:?}");
        }
    }

    #[test]
    fn a_life_and_a_role_are_read() {
        let of = |role| fitness(&info("7.2.4", "0", "noeviction", "1", role)).unwrap();
        assert_eq!((&*of("master").run_id, of("master").replica), ("ab12", false));
        assert!(of("slave").replica);
    }
}
