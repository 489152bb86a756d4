//! Leaderboards.

use crate::domain::id::{BoardId, CounterId};
use crate::domain::program::{CounterWindow, Program};
use crate::domain::time::{CalendarPeriod, Day, Instant};

/// Accounts in the order of what a counter says, in each of its periods.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Board {
    pub id: BoardId,
    pub title: String,
    /// One that counts by calendar periods, or for ever, and not days.
    pub counter: CounterId,
    /// How many accounts are ranked.
    pub top: usize,
    /// Periods before the present one that can still be looked at.
    pub periods_kept: i64,
}

/// A period of a board.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BoardPeriod {
    /// Names the period: the day on which it begins; day 0 for a board without periods.
    pub first: Day,
    /// The day after its last one; `None`: the board has no periods.
    pub next: Option<Day>,
}

impl Program {
    pub fn board(&self, board: &BoardId) -> Option<&Board> {
        self.boards.iter().find(|known| known.id == *board)
    }

    /// By which periods a board counts; `None`: for ever.
    fn periods(&self, board: &Board) -> Option<CalendarPeriod> {
        match self.counter(&board.counter)?.window {
            CounterWindow::Calendar(period) => Some(period),
            _ => None,
        }
    }

    /// The period in which an instant lies.
    pub fn board_period(&self, board: &Board, at: Instant) -> BoardPeriod {
        let date = at.zoned(&self.zone).date();
        match self.periods(board) {
            Some(period) => BoardPeriod { first: Day::of(period.start(date)), next: Some(Day::of(period.next(date))) },
            None => BoardPeriod { first: Day(0), next: None },
        }
    }

    /// The first period that is still kept at an instant.
    pub fn board_kept_since(&self, board: &Board, now: Instant) -> Day {
        let Some(period) = self.periods(board) else { return Day(0) };
        let mut first = period.start(now.zoned(&self.zone).date());
        for _ in 0..board.periods_kept {
            first = period.previous(first);
        }
        Day::of(first)
    }

    /// When a period is kept no more; `None`: it always is.
    pub fn board_ends_at(&self, board: &Board, first: Day) -> Option<Instant> {
        let period = self.periods(board)?;
        let mut end = period.next(first.date());
        for _ in 0..board.periods_kept {
            end = period.next(end);
        }
        Some(Day::of(end).begins(&self.zone))
    }
}
