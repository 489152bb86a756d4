//! Since when a server has what it answered on disk, and its replicas have it: what is older need not be in a journal.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

/// Readings that are kept of each life of a server.
const SAMPLES_MAX: usize = 1_000;

/// How far each life of a server had come when.
#[derive(Default)]
pub(super) struct Samples(HashMap<String, VecDeque<(Instant, u64)>>);

impl Samples {
    /// Reads the answer to `INFO`: what is older than this is on disk and with every replica; at least `keep`. `None`:
    /// that is not known of anything.
    pub(super) fn safe_age(&mut self, info: &str, keep: Duration) -> Option<Duration> {
        let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        let number = |name: &str| field(name).and_then(|value| value.parse::<u64>().ok());
        let offset = number("master_repl_offset").unwrap_or_default();
        let samples = self.0.entry(field("run_id").unwrap_or_default().to_owned()).or_default();
        samples.push_back((Instant::now(), offset));
        while SAMPLES_MAX < samples.len() || samples.get(1).is_some_and(|(at, _)| keep < at.elapsed()) {
            samples.pop_front();
        }
        let on_disk = on_disk(info, keep)?;
        let replicas = info.lines().filter_map(|line| line.strip_prefix("slave")).filter_map(|line| {
            let (index, told) = line.split_once(':')?;
            index.parse::<u32>().ok()?;
            told.split(',').find_map(|part| part.strip_prefix("offset=")).map(|offset| offset.parse::<u64>().ok())
        });
        // The first reading that is younger than `keep` says at least how far it had come by then.
        let old = samples.iter().position(|(at, _)| at.elapsed() <= keep).filter(|at| 0 < *at);
        let reached = old.and_then(|at| samples.get(at)).map(|(_, offset)| *offset);
        for replica in replicas {
            if replica? < reached? {
                return None;
            }
        }
        Some(on_disk)
    }
}

/// With `appendfsync everysec` Redis stops taking writes when a sync takes longer than two seconds.
fn on_disk(info: &str, keep: Duration) -> Option<Duration> {
    let field = |name: &str| info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    if field("aof_enabled") == Some("1") {
        return (field("aof_last_write_status") == Some("ok")).then_some(keep);
    }
    let seconds = |name: &str| field(name).and_then(|value| value.parse::<i64>().ok());
    let now_s = seconds("server_time_usec")? / 1_000_000;
    let saved_s = seconds("rdb_last_save_time")?;
    // A server says of itself that it saved when it was started. What it was given since is on no disk.
    if saved_s <= now_s - seconds("uptime_in_seconds")? + 1 {
        return None;
    }
    // A snapshot holds what there was when it was begun.
    let began_s = saved_s - seconds("rdb_last_bgsave_time_sec")?.max(0) - 1;
    let fine = field("rdb_last_bgsave_status") == Some("ok");
    fine.then(|| keep.max(Duration::from_secs(u64::try_from(now_s - began_s).unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEEP: Duration = Duration::from_secs(60);

    #[test]
    fn what_is_on_disk_is_told_by_the_log_or_else_by_the_last_snapshot() {
        let info = |aof: &str, write: &str, save: i64, status: &str| {
            format!(
                "server_time_usec:1000000000000\r\nuptime_in_seconds:1500\r\naof_enabled:{aof}\r\n\
                 aof_last_write_status:{write}\r\nrdb_last_save_time:{save}\r\nrdb_last_bgsave_time_sec:4\r\nrdb_last_bgsave_status:{status}\r\n"
            )
        };
        for (aof, write, save, status, expected) in [
            ("1", "ok", 0, "ok", Some(60)),
            ("1", "err", 1_000_000, "ok", None),
            ("0", "ok", 1_000_000, "ok", Some(60)),
            ("0", "ok", 999_000, "ok", Some(1_005)),
            ("0", "ok", 999_000, "err", None),
            // When it was started: it has saved nothing since.
            ("0", "ok", 998_500, "ok", None),
        ] {
            let found = on_disk(&info(aof, write, save, status), KEEP).map(|age| age.as_secs());
            assert_eq!(found, expected, "{aof} {write} {save} {status}");
        }
    }

    #[test]
    fn a_replica_counts_once_it_has_what_there_was_so_long_ago() {
        let info = |offset: u64, replica: &str| {
            format!(
                "run_id:a\r\naof_enabled:1\r\naof_last_write_status:ok\r\nmaster_repl_offset:{offset}\r\n\
                 slaves_highest:0\r\n{replica}"
            )
        };
        let mut samples = Samples::default();
        let keep = Duration::ZERO;
        assert_eq!(samples.safe_age(&info(10, ""), KEEP), Some(KEEP), "without a replica");
        let behind = "slave0:ip=127.0.0.1,port=1,state=online,offset=9,lag=0\r\n";
        assert_eq!(samples.safe_age(&info(10, behind), KEEP), None, "how it stood so long ago is not known");
        assert_eq!(samples.safe_age(&info(10, behind), keep), None, "it lacks what there was");
    }
}
