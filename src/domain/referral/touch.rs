//! Touches: that somebody came by a code before anybody knew who they were.
//!
//! They belong to a visitor (a browser, a device), who has a record of their own: of a code that is clicked a thousand
//! times a second nothing is written in one place. The record is bounded; the oldest touches fall out, and each is
//! forgotten once no window can count it any more.

use serde::{Deserialize, Serialize};

use super::super::id::{CampaignId, Code, Label};
use super::super::program::TouchTerms;
use super::super::time::{Instant, SECOND_MS};

/// How somebody came by a code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum TouchKind {
    Click,
    Scan,
    /// The advocate's own: they passed the code on. It brings nobody by itself.
    Share,
    /// An invitation was sent, or opened.
    Invite,
}

impl TouchKind {
    pub const ALL: [TouchKind; 4] = [TouchKind::Click, TouchKind::Scan, TouchKind::Share, TouchKind::Invite];

    pub fn name(self) -> &'static str {
        match self {
            TouchKind::Click => "click",
            TouchKind::Scan => "scan",
            TouchKind::Share => "share",
            TouchKind::Invite => "invite",
        }
    }
}

/// A touch as it is kept: nothing in it tells who it was.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Touch {
    pub kind: TouchKind,
    pub code: Code,
    pub campaign: CampaignId,
    /// Where the code was: `email`, `instagram`.
    pub channel: Option<Label>,
    /// More closely: a post, a poster, the site that linked.
    pub source: Option<Label>,
    pub at: Instant,
}

/// Why a touch is not kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Dropped {
    /// A machine made it.
    Bot,
    /// The visitor has made as many as count.
    FloodOfVisitor,
    /// The visitor has made as many by this code as count.
    FloodOfCode,
}

/// What is kept of a visitor.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct VisitorState {
    /// In the order in which they happened; at most [`VisitorState::TOUCHES_MAX`].
    pub touches: Vec<Touch>,
    /// Rises with each change of the record.
    pub revision: u64,
    /// Dropped, for a machine had made them.
    pub bots: i64,
    /// Dropped, for there were too many.
    pub floods: i64,
}

impl VisitorState {
    pub const TOUCHES_MAX: usize = 100;

    /// Keeps a touch, or counts it as dropped; checks in order of precedence.
    pub fn record(&mut self, touch: Touch, user_agent: &str, terms: &TouchTerms) -> Result<(), Dropped> {
        self.revision = self.revision.saturating_add(1);
        if is_bot(user_agent, &terms.bots) {
            self.bots = self.bots.saturating_add(1);
            return Err(Dropped::Bot);
        }
        let since = touch.at.minus_ms(terms.within_s.saturating_mul(SECOND_MS));
        let recent = self.touches.iter().filter(|known| since < known.at && known.at <= touch.at);
        let (all, same) = recent.fold((0i64, 0i64), |(all, same), known| {
            (all.saturating_add(1), same.saturating_add(i64::from(known.code == touch.code)))
        });
        let dropped = match () {
            () if terms.per_visitor_max <= all => Some(Dropped::FloodOfVisitor),
            () if terms.per_code_max <= same => Some(Dropped::FloodOfCode),
            () => None,
        };
        if let Some(dropped) = dropped {
            self.floods = self.floods.saturating_add(1);
            return Err(dropped);
        }
        let place = self.touches.partition_point(|known| known.at <= touch.at);
        self.touches.insert(place, touch);
        let surplus = self.touches.len().saturating_sub(VisitorState::TOUCHES_MAX);
        self.touches.drain(..surplus);
        Ok(())
    }

    /// Forgets what no window can count any more; answers when to look again, `None`: nothing is left.
    pub fn forget(&mut self, now: Instant, counts_until: impl Fn(&Touch) -> Instant) -> Option<Instant> {
        self.touches.retain(|touch| now < counts_until(touch));
        self.touches.iter().map(counts_until).max()
    }
}

/// What machines call themselves, in lower case; the name alone is no proof, and leaving it out is no fault.
const BOTS: &[&str] = &[
    "bot/",
    "bot;",
    "bot)",
    "bot-",
    "crawl",
    "spider",
    "slurp",
    "facebookexternalhit",
    "whatsapp/",
    "linkpreview",
    "uripreview",
    "headless",
    "phantomjs",
    "lighthouse",
    "curl/",
    "wget/",
    "python-",
    "go-http-client",
    "libwww",
    "java/",
    "scrapy",
    "pingdom",
    "uptimerobot",
];

/// Whether a machine says that it is one.
fn is_bot(user_agent: &str, more: &[String]) -> bool {
    // A maker of telephones is called Cubot.
    let text = user_agent.to_lowercase().replace("cubot", "");
    BOTS.iter().any(|known| text.contains(known)) || more.iter().any(|known| text.contains(known.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(code: &str, at: i64) -> Touch {
        Touch {
            kind: TouchKind::Click,
            code: Code::parse(code).expect("a code"),
            campaign: CampaignId::parse("c").expect("an id"),
            channel: None,
            source: None,
            at: Instant(at),
        }
    }

    fn terms() -> TouchTerms {
        TouchTerms { bots: vec!["acme-agent".to_owned()], per_visitor_max: 3, per_code_max: 2, within_s: 10 }
    }

    #[test]
    fn r2_machines_are_told_by_what_they_call_themselves() {
        for (user_agent, expected) in [
            ("", false),
            ("Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1", false),
            ("Mozilla/5.0 (Linux; Android 10; CUBOT) Chrome/120", false),
            ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", true),
            ("facebookexternalhit/1.1", true),
            ("WhatsApp/2.23 A", true),
            ("curl/8.5.0", true),
            ("Mozilla/5.0 HeadlessChrome/120", true),
            ("ACME-Agent 3", true),
        ] {
            assert_eq!(is_bot(user_agent, &terms().bots), expected, "{user_agent}");
        }
    }

    #[test]
    fn r2_floods_are_dropped_and_counted() {
        // code  at  expected
        let mut visitor = VisitorState::default();
        for (code, at, expected) in [
            ("AAAA", 20_000, Ok(())),
            ("AAAA", 21_000, Ok(())),
            ("AAAA", 22_000, Err(Dropped::FloodOfCode)),
            ("BBBB", 23_000, Ok(())),
            ("CCCC", 24_000, Err(Dropped::FloodOfVisitor)),
            // The first is just out of the time: ten seconds are over.
            ("AAAA", 30_000, Ok(())),
            ("CCCC", 30_001, Err(Dropped::FloodOfVisitor)),
            // One that is told of late is held against what came before it.
            ("CCCC", 9_000, Ok(())),
        ] {
            assert_eq!(visitor.record(touch(code, at), "", &terms()), expected, "{code} {at}");
        }
        assert_eq!((visitor.floods, visitor.bots, visitor.touches.len()), (3, 0, 5));
        assert_eq!(visitor.touches.first().map(|first| first.at), Some(Instant(9_000)));
        assert_eq!(visitor.record(touch("DDDD", 99_000), "curl/8", &terms()), Err(Dropped::Bot));
        assert_eq!((visitor.floods, visitor.bots, visitor.touches.len()), (3, 1, 5));
    }

    #[test]
    fn r2_of_many_touches_the_oldest_fall_out_and_all_are_forgotten() {
        let free = TouchTerms { per_visitor_max: 1_000, per_code_max: 1_000, ..terms() };
        let mut visitor = VisitorState::default();
        for n in 0..150 {
            assert_eq!(visitor.record(touch("AAAA", 1_000 + n), "", &free), Ok(()));
        }
        assert_eq!(visitor.touches.len(), VisitorState::TOUCHES_MAX);
        assert_eq!(visitor.touches.first().map(|first| first.at), Some(Instant(1_050)));
        let until = |touch: &Touch| touch.at.plus_ms(500);
        assert_eq!(visitor.forget(Instant(1_550), until), Some(Instant(1_649)), "the one of 1050 counts no more");
        assert_eq!(visitor.touches.len(), 99);
        assert_eq!(visitor.forget(Instant(1_649), until), None);
    }
}
