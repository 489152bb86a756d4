//! Leaderboards.

use super::*;
use crate::domain::id::BoardId;
use crate::domain::program::Board;

section! {
    /// A leaderboard: accounts in the order of what a counter says, in each of the counter's periods. Equal scores have the
    /// same rank; who reached theirs first stands first. Members who asked not to be shown (`leaderboard_opt_out`), who were erased or
    /// merged into others are not on it. What a member had counted before the program declared the board shows with
    /// their next count.
    BoardSection = "leaderboard" {
        /// Names the board in calls.
        id: Name<BoardId>, Required;
        /// What people call it.
        title: Title, Required;
        /// What is counted. Its window is a calendar period, which gives the board its periods, or `lifetime`.
        counter: CounterName, Required;
        /// How many are ranked.
        top: Whole<1, 200>, Default("100");
        /// How many periods before the present one can be looked at.
        periods_kept: Whole<0, 60>, Default("12");
    }
}

impl Build for BoardSection {
    type Out = Board;

    fn build(self, _: Pos, _: &mut Reader) -> Option<Board> {
        Some(Board {
            id: self.id?.value,
            title: self.title?.value,
            counter: self.counter?.value,
            top: usize::try_from(self.top?.value).ok()?,
            periods_kept: self.periods_kept?.value,
        })
    }
}

/// Whether what the boards rank by can be ranked.
pub(super) fn check_boards(boards: &[(Pos, Board)], counters: &[CounterTerms], r: &mut Reader) {
    for (index, (pos, board)) in boards.iter().enumerate() {
        let Some(terms) = counters.iter().find(|terms| terms.id == board.counter) else { continue };
        let problem = match (terms.window, &terms.counts) {
            (_, Counts::Visits) => Some("its counter counts days: a board cannot rank by visits"),
            (CounterWindow::Calendar(_) | CounterWindow::Lifetime, _) => None,
            _ => Some("its counter has no periods that are the same for everybody"),
        };
        if let Some(problem) = problem {
            let hint = Some("give it a counter over a day, week, month, quarter, year or `lifetime`");
            let boards = Step::Key(Cow::Borrowed("leaderboards"));
            r.within(boards, |r| r.within(Step::Index(index), |r| r.fault(*pos, problem, hint)));
        }
    }
}
