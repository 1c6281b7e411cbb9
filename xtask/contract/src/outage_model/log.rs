//! An agent's log, scrape by scrape: segments fill and are dropped, a reader sends what it can.

use std::collections::VecDeque;

/// The log and its reader. Samples are numbered by their scrape.
#[derive(Debug)]
pub(super) struct Log {
    /// Closed segments: the last scrape in each, and its bytes.
    closed: VecDeque<(u64, u64)>,
    open: u64,
    /// The newest scrape, and the newest that was sent.
    scraped: u64,
    sent: u64,
    /// Bytes of one scrape, and how old one may be when it is received, in scrapes.
    each: u64,
    window: u64,
    /// Bytes of a full segment.
    segment: u64,
}

impl Log {
    pub(super) fn new(each: u64, segment: u64, window: u64) -> Self {
        Log { closed: VecDeque::new(), open: 0, scraped: 0, sent: 0, each, window, segment }
    }

    /// One scrape is written; a full segment is closed first.
    pub(super) fn scrape(&mut self) {
        if self.open + self.each > self.segment {
            self.close();
        }
        self.scraped += 1;
        self.open += self.each;
    }

    /// What the Agent does every period. Returns how many scrapes were lost: once the reader's next segment is gone
    /// it starts again, and only what is scraped after that is sent (tsdb/wlog/watcher.go).
    pub(super) fn truncate(&mut self) -> u64 {
        self.close();
        let last = self.closed.len().saturating_sub(2);
        let cut = last * 2 / 3;
        if self.closed.len() < 2 || cut == 0 {
            return 0;
        }
        let dropped = self.closed.drain(..=cut).next_back().map_or(0, |(end, _)| end);
        if dropped <= self.sent {
            return 0;
        }
        let lost = self.scraped - self.sent;
        self.sent = self.scraped;
        lost
    }

    /// Sends at most so many scrapes, oldest first. Returns those that were refused for their age.
    pub(super) fn send(&mut self, most: u64) -> u64 {
        let oldest = self.scraped.saturating_sub(self.window);
        let refused = oldest.saturating_sub(self.sent);
        self.sent = (self.sent.max(oldest) + most).min(self.scraped);
        refused
    }

    pub(super) fn backlog(&self) -> u64 {
        self.scraped - self.sent
    }

    pub(super) fn bytes(&self) -> u64 {
        self.closed.iter().map(|(_, bytes)| bytes).sum::<u64>() + self.open
    }

    fn close(&mut self) {
        self.closed.push_back((self.scraped, self.open));
        self.open = 0;
    }
}
