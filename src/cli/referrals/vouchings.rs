//! A record of who vouched for whom, and when: read from a file or grown from a seed, and the tree that it makes.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use serde::Deserialize;

use crate::domain::id::MemberId;
use crate::domain::referral::cycle::HOPS_MAX;
use crate::domain::time::{DAY_MS, Instant};

/// Faults of a file that are spelled out; the others are counted.
const FAULTS_SHOWN_MAX: usize = 20;

/// A position in [`Graph::members`].
pub type Who = u32;

/// One person vouches for another.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Vouching {
    pub at: Instant,
    pub advocate: Who,
    pub friend: Who,
}

/// Who vouched for whom.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Graph {
    /// Their ids, ascending.
    pub members: Vec<Box<str>>,
    /// By instant. No two for one friend are at the same instant: see [`Graph::new`].
    pub vouchings: Vec<Vouching>,
}

/// A row of the file.
#[derive(Deserialize)]
struct Row {
    instant: String,
    advocate: String,
    friend: String,
}

impl Graph {
    /// Sorts by instant, then advocate and friend. Of several at one instant for one friend the later ones are put a
    /// millisecond after the one before, so that everybody agrees which was the first.
    fn new(rows: Vec<(Instant, String, String)>) -> Graph {
        let mut members: Vec<&str> = rows.iter().flat_map(|(_, a, f)| [a.as_str(), f.as_str()]).collect();
        members.sort_unstable();
        members.dedup();
        let members: Vec<Box<str>> = members.into_iter().map(Box::from).collect();
        let places: HashMap<&str, Who> = members.iter().map(AsRef::as_ref).zip(0..).collect();
        let place = |id: &String| places.get(id.as_str()).copied().unwrap_or_default();
        let rows = rows.iter().map(|(at, a, f)| Vouching { at: *at, advocate: place(a), friend: place(f) });
        let vouchings = spread(rows.collect());
        Graph { members, vouchings }
    }

    /// Reads CSV with a header (`.csv`) or JSON Lines: `instant` (RFC 3339 with a zone), `advocate`, `friend`.
    ///
    /// # Errors
    /// What is wrong with the file, in words, line by line.
    pub fn read(path: &Path) -> Result<Graph, String> {
        let text = fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
        let is_csv = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
        let mut rows = Vec::new();
        let (mut faults, mut count) = (Vec::new(), 0u64);
        let mut take = |line: u64, row: Result<Row, String>| match row.and_then(checked) {
            Ok(row) => rows.push(row),
            Err(fault) => {
                count += 1;
                if faults.len() < FAULTS_SHOWN_MAX {
                    faults.push(format!("line {line}: {fault}"));
                }
            }
        };
        if is_csv {
            let mut reader = csv::Reader::from_reader(text.as_bytes());
            for (line, row) in (2..).zip(reader.deserialize()) {
                take(line, row.map_err(|error| error.to_string()));
            }
        } else {
            for (line, row) in (1..).zip(text.lines()).filter(|(_, row)| !row.trim().is_empty()) {
                take(line, serde_json::from_str(row).map_err(|error| error.to_string()));
            }
        }
        if !faults.is_empty() {
            let more = count.saturating_sub(faults.len() as u64);
            let more = if 0 < more { format!("\nand {more} more") } else { String::new() };
            return Err(format!("{}{more}", faults.join("\n")));
        }
        if rows.is_empty() {
            return Err("holds no vouchings".to_owned());
        }
        Ok(Graph::new(rows))
    }

    /// The instant of the first vouching; `None`: there is none.
    pub fn begins(&self) -> Option<Instant> {
        self.vouchings.first().map(|first| first.at)
    }

    pub fn id(&self, who: Who) -> &str {
        usize::try_from(who).ok().and_then(|at| self.members.get(at)).map_or("", AsRef::as_ref)
    }
}

fn checked(row: Row) -> Result<(Instant, String, String), String> {
    let Row { instant, advocate, friend } = row;
    let at = instant.parse::<jiff::Timestamp>().map_err(|_| format!("instant {instant:?} is not RFC 3339"))?;
    let at = Instant(at.as_millisecond());
    if !at.in_bounds() {
        return Err(format!("instant {instant:?} is not between the years 2000 and 9000"));
    }
    for (what, id) in [("advocate", &advocate), ("friend", &friend)] {
        MemberId::parse(id).map_err(|error| format!("{what}: {error}"))?;
    }
    if advocate == friend {
        return Err(format!("{friend:?} vouches for themselves"));
    }
    Ok((at, advocate, friend))
}

fn spread(mut vouchings: Vec<Vouching>) -> Vec<Vouching> {
    vouchings.sort_unstable();
    let mut last: HashMap<Who, Instant> = HashMap::new();
    for vouching in &mut vouchings {
        let after = last.get(&vouching.friend).map(|at| at.plus_ms(1));
        vouching.at = after.map_or(vouching.at, |after| after.max(vouching.at));
        last.insert(vouching.friend, vouching.at);
    }
    vouchings.sort_unstable();
    vouchings
}

/// How many of 1,172 people have brought how many others: the first signatures of Debian's keyring of December 2022.
const BROUGHT: [(u32, u32); 13] = [
    (0, 711),
    (1, 235),
    (2, 85),
    (3, 65),
    (4, 29),
    (5, 15),
    (6, 6),
    (7, 12),
    (8, 4),
    (9, 6),
    (12, 2),
    (14, 1),
    (24, 1),
];
/// Of a hundred people who were brought by nobody so many are vouched for later, by somebody they may have brought.
const LATE_PERCENT: u32 = 60;
/// In how many days a grown graph comes about.
const GROWN_DAYS: i64 = 60;
/// 2026-01-01T00:00:00Z: when a grown graph begins.
const GROWN_FROM: Instant = Instant(1_767_225_600_000);

/// Grows a graph of so many people: each brings as many as somebody of Debian's keyring did, and whoever is brought by
/// nobody may be vouched for by somebody below them, which closes a circle. `later`: further vouchings for each person,
/// which must change nothing. The same seed, the same graph.
pub fn grown(people: u32, later: u32, seed: u64) -> Graph {
    let mut random = fastrand::Rng::with_seed(seed);
    let all: u32 = BROUGHT.iter().map(|(_, count)| count).sum();
    let draw = |random: &mut fastrand::Rng| {
        let mut ticket = random.u32(0..all);
        for (brought, count) in BROUGHT {
            if ticket < count {
                return brought;
            }
            ticket -= count;
        }
        0
    };
    let step = GROWN_DAYS * DAY_MS / i64::from(people.max(1));
    let joined = |who: Who| GROWN_FROM.plus_ms(i64::from(who) * step);
    let over = GROWN_FROM.plus_ms(GROWN_DAYS * DAY_MS);
    let between = |random: &mut fastrand::Rng, from: Instant| Instant(random.i64(from.0..over.0.max(from.0 + 1)));
    // Places that people have left for those they bring; who comes takes one.
    let mut open: Vec<Who> = Vec::new();
    let mut rows = Vec::new();
    for friend in 0..people {
        if open.is_empty() {
            if random.u32(0..100) < LATE_PERCENT && friend + 1 < people {
                let advocate = random.u32(friend + 1..people);
                rows.push(Vouching { at: between(&mut random, joined(advocate)), advocate, friend });
            }
        } else {
            let place = random.usize(0..open.len());
            rows.push(Vouching { at: joined(friend), advocate: open.swap_remove(place), friend });
        }
        open.extend(std::iter::repeat_n(friend, draw(&mut random) as usize));
        for _ in 0..later {
            let advocate = random.u32(0..people);
            if advocate != friend {
                rows.push(Vouching { at: between(&mut random, joined(advocate.max(friend))), advocate, friend });
            }
        }
    }
    let members = (0..people).map(|who| format!("g{who:08}").into()).collect();
    Graph { members, vouchings: spread(rows) }
}

/// What becomes of the first vouching for somebody.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Came {
    By(Who),
    /// By somebody whom they have, through however many others, brought.
    InACircle(Who),
    /// Below so many that the service brings nobody below them.
    TooDeep(Who),
}

/// The tree that the first vouchings make, worked out here: what the server must come to as well.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Tree {
    pub came: BTreeMap<Who, Came>,
}

impl Tree {
    pub fn of(graph: &Graph) -> Tree {
        let mut tree = Tree::default();
        for vouching in &graph.vouchings {
            if tree.came.contains_key(&vouching.friend) {
                continue;
            }
            let came = tree.first(vouching.advocate, vouching.friend);
            tree.came.insert(vouching.friend, came);
        }
        tree
    }

    fn first(&self, advocate: Who, friend: Who) -> Came {
        let mut above = advocate;
        for _ in 0..HOPS_MAX {
            if above == friend {
                return Came::InACircle(advocate);
            }
            match self.came.get(&above) {
                Some(Came::By(next)) => above = *next,
                Some(Came::InACircle(_) | Came::TooDeep(_)) | None => return Came::By(advocate),
            }
        }
        Came::TooDeep(advocate)
    }

    pub fn advocate(&self, who: Who) -> Option<Who> {
        match self.came.get(&who) {
            Some(Came::By(advocate)) => Some(*advocate),
            Some(Came::InACircle(_) | Came::TooDeep(_)) | None => None,
        }
    }

    /// Of how many first vouchings that is so.
    pub fn count(&self, is: impl Fn(&Came) -> bool) -> u64 {
        self.came.values().filter(|came| is(came)).count() as u64
    }

    /// The most that stand above anybody.
    pub fn depth(&self) -> u64 {
        let mut known: HashMap<Who, u64> = HashMap::new();
        let mut deepest = 0;
        for who in self.came.keys() {
            // Up to somebody whose depth is known, then down again.
            let mut path = Vec::new();
            let mut at = *who;
            let mut depth = loop {
                if let Some(depth) = known.get(&at) {
                    break *depth;
                }
                match self.advocate(at) {
                    Some(advocate) => {
                        path.push(at);
                        at = advocate;
                    }
                    None => break 0,
                }
            };
            for below in path.into_iter().rev() {
                depth += 1;
                known.insert(below, depth);
            }
            deepest = deepest.max(depth);
        }
        deepest
    }

    /// How many advocates have brought so many friends, by number of friends.
    pub fn brought(&self) -> BTreeMap<u64, u64> {
        let mut friends: HashMap<Who, u64> = HashMap::new();
        for advocate in self.came.keys().filter_map(|who| self.advocate(*who)) {
            *friends.entry(advocate).or_default() += 1;
        }
        let mut advocates = BTreeMap::new();
        for brought in friends.into_values() {
            *advocates.entry(brought).or_default() += 1;
        }
        advocates
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(rows: &[(i64, &str, &str)]) -> Graph {
        let row = |(at, a, f): &(i64, &str, &str)| (Instant(*at), (*a).to_owned(), (*f).to_owned());
        Graph::new(rows.iter().map(row).collect())
    }

    #[test]
    fn r10_the_first_vouching_counts_unless_it_closes_a_circle() {
        // Members are a, b, c, d by number.
        for (rows, expected) in [
            (vec![(1, "a", "b"), (2, "c", "b")], vec![(1, Came::By(0))]),
            // Told of in another order, the first is still the first; at one instant the first by id.
            (vec![(2, "c", "b"), (1, "a", "b")], vec![(1, Came::By(0))]),
            (vec![(1, "c", "b"), (1, "a", "b")], vec![(1, Came::By(0))]),
            (
                vec![(1, "a", "b"), (2, "b", "c"), (3, "c", "a"), (4, "d", "a")],
                vec![(0, Came::InACircle(2)), (1, Came::By(0)), (2, Came::By(1))],
            ),
            // Nobody is brought by whoever fell out of a circle: what hangs on them is a tree of its own.
            (
                vec![(1, "a", "b"), (2, "b", "a"), (3, "a", "c")],
                vec![(0, Came::InACircle(1)), (1, Came::By(0)), (2, Came::By(0))],
            ),
        ] {
            let tree = Tree::of(&graph(&rows));
            assert_eq!(tree.came.into_iter().collect::<Vec<_>>(), expected, "{rows:?}");
        }
    }

    #[test]
    fn r10_depth_and_friends_are_counted() {
        let tree = Tree::of(&graph(&[(1, "a", "b"), (2, "b", "c"), (3, "a", "d"), (4, "c", "e")]));
        assert_eq!(tree.depth(), 3);
        assert_eq!(tree.brought().into_iter().collect::<Vec<_>>(), [(1, 2), (2, 1)]);
    }

    #[test]
    fn r17_a_grown_graph_is_the_same_for_the_same_seed_and_looks_like_the_keyring() {
        let graph = grown(5_000, 1, 7);
        assert_eq!(graph, grown(5_000, 1, 7));
        assert_ne!(graph, grown(5_000, 1, 8));
        let tree = Tree::of(&graph);
        let (came, circles) =
            (tree.count(|c| matches!(c, Came::By(_))), tree.count(|c| matches!(c, Came::InACircle(_))));
        assert!(4_000 < came && came < 5_000, "{came}");
        assert!(0 < circles, "some close a circle");
        let brought = tree.brought();
        let most = brought.keys().last().copied().unwrap_or(0);
        assert!(9 < most && most < 40, "{brought:?}");
    }

    #[test]
    fn a_file_is_read_or_its_faults_are_told() {
        let dir = tempfile::tempdir().expect("a directory");
        let csv = dir.path().join("v.csv");
        fs::write(&csv, "instant,advocate,friend\n2026-01-01T00:00:00Z,a,b\n").expect("written");
        assert_eq!(Graph::read(&csv), Ok(graph(&[(1_767_225_600_000, "a", "b")])));
        let lines = dir.path().join("v.jsonl");
        let row = r#"{"instant":"2026-01-01T00:00:00Z","advocate":"a","friend":"b"}"#;
        fs::write(&lines, format!("{row}\n\n")).expect("written");
        assert_eq!(Graph::read(&lines), Graph::read(&csv));
        for (bad, expected) in [
            (r#"{"instant":"never","advocate":"a","friend":"b"}"#, "not RFC 3339"),
            (r#"{"instant":"1999-01-01T00:00:00Z","advocate":"a","friend":"b"}"#, "between the years"),
            (r#"{"instant":"2026-01-01T00:00:00Z","advocate":"a","friend":"a"}"#, "vouches for themselves"),
            (r#"{"instant":"2026-01-01T00:00:00Z","advocate":"a|b","friend":"a"}"#, "advocate"),
            (r#"{"advocate":"a"}"#, "line 2"),
        ] {
            fs::write(&lines, format!("{row}\n{bad}\n")).expect("written");
            let fault = Graph::read(&lines).expect_err(bad);
            assert!(fault.contains(expected), "{bad}: {fault}");
        }
        fs::write(&lines, "").expect("written");
        assert_eq!(Graph::read(&lines), Err("holds no vouchings".to_owned()));
    }
}
