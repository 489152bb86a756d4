//! Quotes that are honoured: they are signed when they are given and looked at when they come back. Nothing is kept of them.

use super::write::send;
use super::{Error, Inner, Preview, read};
use crate::domain::answer::{Answer, CommitStatus};
use crate::domain::command::{Command, Commit as CommitOrder, Reserve};
use crate::domain::quote::{self, Pin, Quote, QuoteKey, Relied};
use crate::domain::time::{Instant, SECOND_MS};
use crate::store::{self, Commit, Expected, Key, Outcome, Record, Token, Write};

/// Bytes of a key that is made here.
const KEY_BYTES: usize = 32;

/// What a Commit would decide, with a token of it and until when that is honoured.
pub(super) async fn quote(inner: &Inner, preview: Preview) -> Result<(Answer, Option<(String, Instant)>), Error> {
    let (program, member) = (preview.program.clone(), preview.member.clone());
    let asked = match &preview.command {
        Command::Commit(commit) => Some((quote::cart(&commit.order), quote::wish(commit.redeem.as_ref()))),
        _ => None,
    };
    let answer = read::preview(inner, preview).await?;
    let (Answer::Commit(told), Some((cart, wish))) = (&answer, asked) else { return Ok((answer, None)) };
    let at = told.decided.effective_at;
    let now = inner.times(None).now;
    let timeline = inner.timeline(&program)?;
    let honoured_for_s = timeline.at(at).and_then(|terms| terms.quotes.honoured_for_s);
    let (CommitStatus::Committed, Some(honoured_for_s), true) = (told.status, honoured_for_s, at <= now) else {
        return Ok((answer, None));
    };
    let honoured_until = now.plus_ms(honoured_for_s.saturating_mul(SECOND_MS));
    let pin = Pin { version: told.decided.version.clone(), at, cart, wish, promises: quote::promises(&told.decided) };
    let quote = Quote { program, member, honoured_until, pin };
    let sealed = Box::pin(keys(inner)).await?.first().map(|key| (quote::seal(key, &quote), honoured_until));
    Ok((answer, sealed))
}

/// The command with its quote looked at, where it has one.
pub(super) async fn opened(inner: &Inner, command: &Command) -> Result<Option<Box<Command>>, Error> {
    let (Command::Reserve(Reserve { quote: Some(Relied::Token(token)), .. })
    | Command::Commit(CommitOrder { quote: Some(Relied::Token(token)), .. })) = command
    else {
        return Ok(None);
    };
    let found = quote::open(Box::pin(keys(inner)).await?, token);
    let quote = Some(found.map_or(Relied::Invalid, |quote| Relied::Signed(Box::new(quote))));
    Ok(match command {
        Command::Reserve(reserve) => Some(Box::new(Command::Reserve(Reserve { quote, ..reserve.clone() }))),
        Command::Commit(commit) => Some(Box::new(Command::Commit(CommitOrder { quote, ..commit.clone() }))),
        _ => None,
    })
}

/// Those of the settings, else that of the deployment.
pub(super) async fn keys(inner: &Inner) -> Result<&Vec<QuoteKey>, Error> {
    let known = async {
        match inner.options.quote_keys.as_slice() {
            [] => Ok(vec![of_deployment(inner).await?]),
            keys => Ok(keys.to_vec()),
        }
    };
    inner.quote_keys.get_or_try_init(|| known).await
}

async fn of_deployment(inner: &Inner) -> Result<QuoteKey, Error> {
    let what = "the key of quotes";
    let secret = secret_of_deployment(inner, &inner.layout.quote_key(), what).await?;
    QuoteKey::of(&secret).ok_or_else(|| Error::Store(store::Error::Corrupt { what: what.to_owned() }))
}

/// A secret that all instances on this store share; the first that asks makes it.
pub(super) async fn secret_of_deployment(inner: &Inner, key: &Key, what: &str) -> Result<Vec<u8>, Error> {
    for _ in 0..2 {
        let found = inner.store.load(key.partition, std::slice::from_ref(key)).await?.into_iter().next().flatten();
        if let Some(record) = found {
            return Ok(record.body);
        }
        let mut body = vec![0; KEY_BYTES];
        getrandom::fill(&mut body).map_err(|_| Error::Internal("the machine gives no random bytes".to_owned()))?;
        // The token says nothing of the key: tokens are shown in logs.
        let record = Record { token: Token::new(1, &[0; 32]), body };
        let commit = Commit {
            partition: key.partition,
            expect: vec![(key.clone(), Expected::Absent)],
            writes: vec![Write { key: key.clone(), record: Some(record) }],
            ..Commit::default()
        };
        // Whoever made it: it is read as it stands.
        match send(inner, &commit, &mut 0).await? {
            Outcome::Applied | Outcome::Conflict(_) => {}
            Outcome::Seen(_) | Outcome::GuardFailed { .. } => {
                return Err(Error::Internal(format!("{what} met a condition that it did not state")));
            }
        }
    }
    Err(Error::Store(store::Error::Corrupt { what: what.to_owned() }))
}
