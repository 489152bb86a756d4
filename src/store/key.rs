//! Every store key is made here, and nowhere else.
//!
//! A key is `kind|program|...`; ids never contain `|`, `{` or `}`, so keys are unambiguous. An adapter that
//! needs a physical key puts a format version and the partition's tag before it:
//! `g1:{3k}:acct|bakery|mia-7`. All keys of a partition share the tag, so one script may touch them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::domain::id::{
    AccountId, BoardId, Code, EventId, GrantId, MemberId, OrderId, ProgramId, ReferralId, RequestId, UnitId,
};
use crate::domain::quota::QuotaKey;
use crate::domain::time::{Day, Instant};

/// One of the fixed number of groups that accounts are spread over; the unit of co-location.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub struct Partition(pub u16);

/// A logical key: the partition it lies in and its name there.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Key {
    pub partition: Partition,
    pub name: Arc<str>,
}

/// How accounts are spread over partitions. Fixed when a deployment is created.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Layout {
    partitions: u16,
}

/// Where an account lives, and what is called how there.
#[derive(Clone, Copy, Debug)]
pub struct Home<'a> {
    pub partition: Partition,
    program: &'a ProgramId,
    account: &'a AccountId,
}

impl<'a> Home<'a> {
    /// Where that is known already.
    pub fn at(partition: Partition, program: &'a ProgramId, account: &'a AccountId) -> Home<'a> {
        Home { partition, program, account }
    }

    /// `acct|bakery|mia-7`: the record of the account.
    pub fn account(self) -> Key {
        Key {
            partition: self.partition,
            name: ["acct|", self.program.as_str(), "|", self.account.as_str()].concat().into(),
        }
    }

    /// `log|bakery|mia-7`: the account's entries.
    pub fn log(self) -> Key {
        Key {
            partition: self.partition,
            name: ["log|", self.program.as_str(), "|", self.account.as_str()].concat().into(),
        }
    }

    /// `ord|bakery|mia-7|order-1`
    pub fn order(self, order: &OrderId) -> Key {
        self.beside("ord|", order.as_str())
    }

    /// `rcp|bakery|mia-7|req-1`: the receipt of a request.
    pub fn receipt(self, request: &RequestId) -> Key {
        self.beside("rcp|", request.as_str())
    }

    fn beside(self, kind: &str, id: &str) -> Key {
        let name = [kind, self.program.as_str(), "|", self.account.as_str(), "|", id].concat().into();
        Key { partition: self.partition, name }
    }
}

impl Layout {
    pub const PARTITIONS_DEFAULT: u16 = 4096;
    /// Redis Cluster has 16,384 slots; more partitions than slots would share slots to no gain.
    pub const PARTITIONS_MAX: u16 = 16_384;

    /// `None` unless `1 <= partitions <= PARTITIONS_MAX`.
    pub fn new(partitions: u16) -> Option<Layout> {
        (1..=Layout::PARTITIONS_MAX).contains(&partitions).then_some(Layout { partitions })
    }

    pub fn partitions(self) -> u16 {
        self.partitions
    }

    /// SHA-256 of the parts, so that the spread does not depend on how callers number their members.
    fn place(self, program: &ProgramId, part: &str) -> Partition {
        let mut hash = Sha256::new();
        hash.update(program.as_str());
        hash.update(b"|");
        hash.update(part);
        let digest: [u8; 32] = hash.finalize().into();
        let mut head = [0; 8];
        head.copy_from_slice(&digest[..8]);
        let n = u64::from_be_bytes(head) % u64::from(self.partitions);
        Partition(n as u16) // below `partitions`, which is a u16
    }

    /// Where an account and all it owns lives.
    pub fn of_account(self, program: &ProgramId, account: &AccountId) -> Partition {
        self.place(program, account.as_str())
    }

    /// `qkey`: what signs the deployment's quotes, where no setting says otherwise.
    pub fn quote_key(self) -> Key {
        Key { partition: Partition(0), name: "qkey".into() }
    }

    /// `skey`: what hashes signals of people, where no setting says otherwise.
    pub fn signal_key(self) -> Key {
        Key { partition: Partition(0), name: "skey".into() }
    }

    /// Over so many records the queue of reviews is spread.
    pub const SHARDS: u16 = 64;

    /// Which of them a referral is in.
    pub fn shard_of(referral: &str) -> u16 {
        let [high, low, ..]: [u8; 32] = Sha256::digest(referral).into();
        u16::from_be_bytes([high, low]) % Layout::SHARDS
    }

    /// `rvw|bakery|7`: referrals that wait for somebody to decide.
    pub fn reviews(self, program: &ProgramId, shard: u16) -> Key {
        let partition = self.place(program, &format!("reviews|{shard}"));
        Key { partition, name: format!("rvw|{program}|{shard}").into() }
    }

    /// `acct|bakery|mia-7`: the record found under a member id, an account or an alias to one.
    pub fn member(self, program: &ProgramId, member: &MemberId) -> Key {
        Key {
            partition: self.place(program, member.as_str()),
            name: ["acct|", program.as_str(), "|", member.as_str()].concat().into(),
        }
    }

    /// Names what an account owns. Where it lies is worked out once, for all of it.
    pub fn home<'a>(self, program: &'a ProgramId, account: &'a AccountId) -> Home<'a> {
        Home { partition: self.of_account(program, account), program, account }
    }

    /// [`Home::account`]
    pub fn account(self, program: &ProgramId, account: &AccountId) -> Key {
        self.home(program, account).account()
    }

    /// [`Home::log`]
    pub fn log(self, program: &ProgramId, account: &AccountId) -> Key {
        self.home(program, account).log()
    }

    /// [`Home::order`]
    pub fn order(self, program: &ProgramId, account: &AccountId, order: &OrderId) -> Key {
        self.home(program, account).order(order)
    }

    /// [`Home::receipt`]
    pub fn receipt(self, program: &ProgramId, account: &AccountId, request: &RequestId) -> Key {
        self.home(program, account).receipt(request)
    }

    /// `inb|bakery|mia-7|ref.leo.0`: what other accounts' effects have granted here under one grant id.
    pub fn inbound(self, program: &ProgramId, account: &AccountId, grant: &GrantId) -> Key {
        self.in_account(program, account, format!("inb|{program}|{account}|{grant}"))
    }

    /// `evt|bakery|mia-7|post-9`: something that a member did outside an order.
    pub fn event(self, program: &ProgramId, account: &AccountId, event: &EventId) -> Key {
        self.in_account(program, account, format!("evt|{program}|{account}|{event}"))
    }

    /// `rcv|bakery|mia-7|order-1`: what was given to make up for an order.
    pub fn recovery(self, program: &ProgramId, account: &AccountId, order: &OrderId) -> Key {
        self.in_account(program, account, format!("rcv|{program}|{account}|{order}"))
    }

    /// `note|bakery|mia-7|12`: the erasable note beside entry 12.
    pub fn note(self, program: &ProgramId, account: &AccountId, sequence: u64) -> Key {
        self.in_account(program, account, format!("note|{program}|{account}|{sequence}"))
    }

    /// `why|bakery|mia-7|order-1`: the trace of an order, where it is kept.
    pub fn trace(self, program: &ProgramId, account: &AccountId, order: &OrderId) -> Key {
        self.in_account(program, account, format!("why|{program}|{account}|{order}"))
    }

    /// `code|bakery|MIA7Q2`: whose code it is. Lies in a partition of the code's own.
    pub fn code(self, program: &ProgramId, code: &Code) -> Key {
        Key { partition: self.place(program, code.as_str()), name: format!("code|{program}|{code}").into() }
    }

    /// `quo|bakery|agent|zoe|points|day.2026-05-01`: how much a limit over all members is in all. In a partition of its own.
    pub fn quota(self, quota: &QuotaKey) -> Key {
        self.in_quota(quota, "quo", "")
    }

    /// `left|bakery|agent|zoe|points|day.2026-05-01`: what is left of it; a guarded quantity.
    pub fn quota_left(self, quota: &QuotaKey) -> Key {
        self.in_quota(quota, "left", "")
    }

    /// `drum|bakery|draw|spring|be45cb26..|100|ever`: which numbers of it were taken and went back, in order; a log.
    pub fn quota_list(self, quota: &QuotaKey) -> Key {
        self.in_quota(quota, "drum", "")
    }

    /// `slq|bakery|limit|campaign:may|units||ever`: what of it was given to slices, and what came back; beside it.
    pub fn slices(self, quota: &QuotaKey) -> Key {
        self.in_quota(quota, "slq", "")
    }

    /// `slc|bakery|limit|campaign:may|units||ever|1767225600000`: what the slice of a partition has taken in of the capacity
    /// that the version of an instant states, and given back. In that partition.
    pub fn slice(self, quota: &QuotaKey, since: Instant, partition: Partition) -> Key {
        let QuotaKey { program, of, period } = quota;
        Key { partition, name: format!("slc|{program}|{of}|{period}|{}", since.0).into() }
    }

    /// `sll|bakery|limit|campaign:may|units||ever|1767225600000`: what the slice holds; a guarded quantity.
    pub fn slice_left(self, quota: &QuotaKey, since: Instant, partition: Partition) -> Key {
        let QuotaKey { program, of, period } = quota;
        Key { partition, name: format!("sll|{program}|{of}|{period}|{}", since.0).into() }
    }

    /// `clm|bakery|agent|zoe|points|day.2026-05-01|mia-7|request|r-1`: what is set aside of it for a deed of an account.
    /// The name is that of the due subject, too.
    pub fn claim(self, quota: &QuotaKey, account: &AccountId, deed: &str) -> Key {
        self.in_quota(quota, "clm", &format!("|{account}|{deed}"))
    }

    /// The claim that a due subject names; `None`: it names an account.
    pub fn due_claim(partition: Partition, subject: &str) -> Option<Key> {
        // An account is `program|account`, and a program may be called `clm`.
        let parts = subject.split('|').count();
        (subject.starts_with("clm|") && 2 < parts).then(|| Key { partition, name: subject.into() })
    }

    /// `use|bakery|mia-7|<nonce>`: what an account has used of a claim, or that it can use it no more; a receipt.
    pub fn claim_used(self, program: &ProgramId, account: &AccountId, nonce: &str) -> Key {
        self.in_account(program, account, format!("use|{program}|{account}|{nonce}"))
    }

    /// `ntc|bakery`: notices of what is to come, in order.
    pub fn notices(self, program: &ProgramId) -> Key {
        Key { partition: self.place(program, "notices"), name: format!("ntc|{program}").into() }
    }

    /// `ntch|bakery`: how many there are; beside them.
    pub fn notices_head(self, program: &ProgramId) -> Key {
        Key { partition: self.place(program, "notices"), name: format!("ntch|{program}").into() }
    }

    /// `ntcs|bakery|mia-7|mia-7|cake|1774821600000`: that a notice was appended; a receipt beside them.
    pub fn notice_seen(self, program: &ProgramId, account: &AccountId, notice: &str) -> Key {
        Key { partition: self.place(program, "notices"), name: format!("ntcs|{program}|{account}|{notice}").into() }
    }

    /// `aud|bakery`: administrative writes, in the order in which they were recorded.
    pub fn audit(self, program: &ProgramId) -> Key {
        Key { partition: self.place(program, "audit"), name: format!("aud|{program}").into() }
    }

    /// `audh|bakery`: how many there are, and when the last was recorded; beside them.
    pub fn audit_head(self, program: &ProgramId) -> Key {
        Key { partition: self.place(program, "audit"), name: format!("audh|{program}").into() }
    }

    /// `auds|bakery|mia-7|req-1|1774821600000`: that one was recorded; a receipt beside them. The instant tells apart what an
    /// account is asked under one id once its receipt has gone.
    pub fn audit_seen(self, program: &ProgramId, account: &AccountId, request: &RequestId, decided_at: Instant) -> Key {
        let name = format!("auds|{program}|{account}|{request}|{}", decided_at.0);
        Key { partition: self.place(program, "audit"), name: name.into() }
    }

    /// `brd|bakery|spenders|20574`: who stands where on a board, of the accounts in this partition; the name is that of the due
    /// subject, too.
    pub fn board(self, partition: Partition, program: &ProgramId, board: &BoardId, first: Day) -> Key {
        Key { partition, name: format!("brd|{program}|{board}|{}", first.0).into() }
    }

    /// The record of a board that a due subject names; `None`: it names something else.
    pub fn due_board(partition: Partition, subject: &str) -> Option<Key> {
        // An account is `program|account`, and a program may be called `brd`.
        let parts = subject.split('|').count();
        (subject.starts_with("brd|") && parts == 4).then(|| Key { partition, name: subject.into() })
    }

    /// `vis|bakery|~visitor~00ff..`: what is kept of a visitor. The name is that of the due subject, too.
    pub fn visitor(self, program: &ProgramId, visitor: &AccountId) -> Key {
        self.in_account(program, visitor, format!("vis|{program}|{visitor}"))
    }

    /// The record of a visitor that a due subject names; `None`: it names something else.
    pub fn due_visitor(partition: Partition, subject: &str) -> Option<(Key, ProgramId)> {
        // An account is `program|account`, and a program may be called `vis`.
        let [_, program, _] = subject.strip_prefix("vis|").map(|_| subject.split('|'))?.collect::<Vec<_>>()[..] else {
            return None;
        };
        Some((Key { partition, name: subject.into() }, ProgramId::parse(program).ok()?))
    }

    /// `acr|bakery|acme|cents`: what a partner has coming from friends in this partition; the name is that of the due subject,
    /// too.
    pub fn accrual(self, partition: Partition, program: &ProgramId, partner: &AccountId, unit: &UnitId) -> Key {
        Key { partition, name: format!("acr|{program}|{partner}|{unit}").into() }
    }

    /// What a due subject names that is a partner's; `None`: it names something else.
    pub fn due_accrual(partition: Partition, subject: &str) -> Option<Key> {
        // An account is `program|account`, and a program may be called `acr`.
        let parts = subject.split('|').count();
        (subject.starts_with("acr|") && parts == 4).then(|| Key { partition, name: subject.into() })
    }

    /// `kidh|bakery|mia-7`: how many friends an advocate has brought, and how often the list was written.
    pub fn children_head(self, program: &ProgramId, advocate: &AccountId) -> Key {
        self.in_account(program, advocate, format!("kidh|{program}|{advocate}"))
    }

    /// `kid|bakery|mia-7|12`: the twelfth friend whom an advocate has brought.
    pub fn child(self, program: &ProgramId, advocate: &AccountId, place: u64) -> Key {
        self.in_account(program, advocate, format!("kid|{program}|{advocate}|{place}"))
    }

    /// `kidi|bakery|mia-7|friends:leo`: the place of a referral in the list of an advocate.
    pub fn child_index(self, program: &ProgramId, advocate: &AccountId, referral: &ReferralId) -> Key {
        self.in_account(program, advocate, format!("kidi|{program}|{advocate}|{referral}"))
    }

    /// `sts|bakery|20574`: figures of a month, named by its first day, of the accounts in this partition.
    pub fn stats(self, partition: Partition, program: &ProgramId, month: Day) -> Key {
        Key { partition, name: format!("sts|{program}|{}", month.0).into() }
    }

    /// `stsh|bakery`: how many accounts of this partition have changed figures.
    pub fn stats_head(self, partition: Partition, program: &ProgramId) -> Key {
        Key { partition, name: format!("stsh|{program}").into() }
    }

    /// `stsl|bakery`: which, in a log.
    pub fn stats_accounts(self, partition: Partition, program: &ProgramId) -> Key {
        Key { partition, name: format!("stsl|{program}").into() }
    }

    /// `stsi|bakery|mia-7`: that an account is in that log.
    pub fn stats_account(self, partition: Partition, program: &ProgramId, account: &AccountId) -> Key {
        Key { partition, name: format!("stsi|{program}|{account}").into() }
    }

    fn in_quota(self, quota: &QuotaKey, kind: &str, rest: &str) -> Key {
        let QuotaKey { program, of, period } = quota;
        let partition = self.place(program, &format!("{of}|{period}"));
        Key { partition, name: format!("{kind}|{program}|{of}|{period}{rest}").into() }
    }

    /// `prog|bakery`: which versions of a program were active from when.
    pub fn timeline(self, program: &ProgramId) -> Key {
        Key { partition: self.place(program, ""), name: format!("prog|{program}").into() }
    }

    /// `psrc|bakery|<version>`: the text of one program version; beside the timeline.
    pub fn program_source(self, program: &ProgramId, version: &str) -> Key {
        Key { partition: self.place(program, ""), name: format!("psrc|{program}|{version}").into() }
    }

    fn in_account(self, program: &ProgramId, account: &AccountId, name: String) -> Key {
        Key { partition: self.of_account(program, account), name: name.into() }
    }
}
