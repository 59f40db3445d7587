//! Reading a lane from its beginning, a window at a time, and knowing what may be delivered next.
//!
//! Invariant: a row is only handed out when all earlier rows of its thread are gone from the lane. Never more rows are in
//! memory than two windows, however many the lane has.
//!
//! New rows need not come behind all that are there: a thread's rows are in order, but those of two threads are written by
//! the clocks of two processes, and a scan is of no single moment. So once a window has something to deliver, what is in
//! front of its end is looked at again: an earlier row of a thread was there before the later one was written, so whoever
//! has seen the later one finds it.

use std::collections::hash_map::Entry as Slot;
use std::collections::{HashMap, HashSet, VecDeque};

use super::rows::{free_at, look_at};
use crate::app::App;
use crate::domain::circuit::RecipientId;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::{Lane, Thread};
use crate::domain::sid::EventSid;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::records::{self, Stored};
use crate::store::{Order, Scan, keys};

/// Reads a lane once from its beginning to its end.
pub(super) struct LaneReader {
    lane: Lane,
    window: usize,
    /// The rows of each thread that has none that waits, in order. The first one of a thread that is under way was taken.
    queues: HashMap<Thread, VecDeque<Stored<OutboxRow>>>,
    /// The threads whose first row may be delivered now.
    ready: VecDeque<Thread>,
    /// The same for rows that were tried before, and those of recipients that failed, if the receiver serves many: nothing
    /// is tried twice before all was once.
    again: VecDeque<Thread>,
    /// Who failed.
    failing: HashSet<RecipientId>,
    /// The rows that were handed out and are not settled.
    under_way: HashMap<Thread, HandedOut>,
    /// For whom those are: of one recipient's rows one is under way at a time.
    busy: HashSet<RecipientId>,
    /// The threads of which nothing more can be delivered in this reader.
    waiting: HashSet<Thread>,
    loaded: usize,
    read: usize,
    handed_out: usize,
    after: Option<Vec<u8>>,
    complete: bool,
    earliest: Option<Timestamp>,
}

/// A row that was handed out.
struct HandedOut {
    sid: EventSid,
    recipient: RecipientId,
}

impl LaneReader {
    /// A reader of `lane`, some of whose recipients have failed.
    pub(super) fn over(lane: Lane, window: usize, failing: HashSet<RecipientId>) -> Self {
        Self {
            lane,
            window,
            queues: HashMap::new(),
            ready: VecDeque::new(),
            again: VecDeque::new(),
            failing,
            under_way: HashMap::new(),
            busy: HashSet::new(),
            waiting: HashSet::new(),
            loaded: 0,
            read: 0,
            handed_out: 0,
            after: None,
            complete: false,
            earliest: None,
        }
    }

    /// A row that may be delivered now, if there is one. Its thread is under way until [`LaneReader::gone`] or
    /// [`LaneReader::stays`] is said of it.
    pub(super) async fn next(&mut self, app: &App) -> Result<Option<Stored<OutboxRow>>, Fault> {
        let mut place = self.first_of(&self.ready);
        while place.is_none() && self.may_read() {
            self.read_window(app).await?;
            place = self.first_of(&self.ready);
        }
        let thread = match place {
            Some(place) => self.ready.remove(place),
            None => self
                .first_of(&self.again)
                .and_then(|place| self.again.remove(place)),
        };
        let Some(thread) = thread else {
            return Ok(None);
        };
        let row = self.queues.get_mut(&thread).and_then(VecDeque::pop_front);
        if let Some(row) = &row {
            self.loaded -= 1;
            let (sid, recipient) = (row.record.sid, row.record.message.target().recipient);
            self.under_way.insert(thread, HandedOut { sid, recipient });
            self.busy.insert(recipient);
        }
        self.handed_out += 1;
        Ok(row)
    }

    /// The row that was under way is gone: the next one of its thread may follow.
    pub(super) fn gone(&mut self, app: &App, thread: Thread) {
        self.is_back(thread);
        let Slot::Occupied(queue) = self.queues.entry(thread) else {
            return;
        };
        match queue.get().front().map(|row| &row.record) {
            Some(first) if free_at(app, first) <= app.clock.now() => self.may_go(app, thread),
            Some(first) => {
                let until = look_at(app, first);
                self.stays(thread, until);
            }
            None => drop(queue.remove()),
        }
    }

    /// The row that was under way stays until then, and all behind it in its thread with it.
    pub(super) fn stays(&mut self, thread: Thread, until: Timestamp) {
        self.is_back(thread);
        let dropped = self.queues.remove(&thread).unwrap_or_default();
        self.loaded -= dropped.len();
        self.wait(thread, until);
    }

    /// A try for this recipient failed: others come first.
    pub(super) fn failed(&mut self, recipient: RecipientId) {
        self.failing.insert(recipient);
    }

    fn is_back(&mut self, thread: Thread) {
        if let Some(row) = self.under_way.remove(&thread) {
            self.busy.remove(&row.recipient);
        }
    }

    /// The first row of this thread, which has none under way, may be delivered now.
    fn may_go(&mut self, app: &App, thread: Thread) {
        let first = self.queues.get(&thread).and_then(VecDeque::front);
        let tried = first.is_some_and(|row| {
            let recipient = row.record.message.target().recipient;
            row.record.attempts > 0 || self.failing.contains(&recipient)
        });
        if !(tried && self.lane.receiver.serves_many()) {
            self.ready.push_back(thread);
        } else if self.again.len() < self.window / 2 {
            self.again.push_back(thread);
        } else {
            // What fails must not fill the memory in which others are looked for.
            self.stays(thread, app.clock.now());
        }
    }

    /// Where in `queue` the first thread is whose recipient has nothing under way.
    fn first_of(&self, queue: &VecDeque<Thread>) -> Option<usize> {
        queue.iter().position(|thread| {
            let first = self.queues.get(thread).and_then(VecDeque::front);
            first.is_none_or(|row| !self.busy.contains(&row.record.message.target().recipient))
        })
    }

    /// When there is something to do again, as far as this pass has seen; `None` if nothing is left.
    pub(super) fn next_at(&self, now: Timestamp) -> Option<Timestamp> {
        // Without progress, what was not read lies behind so many rows that wait that it has to wait with them.
        let rest = !self.complete && self.handed_out > 0 || !self.queues.is_empty();
        rest.then_some(now).into_iter().chain(self.earliest).min()
    }

    /// How many rows are in memory.
    #[cfg(test)]
    pub(super) fn loaded(&self) -> usize {
        self.loaded
    }

    fn may_read(&self) -> bool {
        let most = if self.handed_out == 0 && self.again.is_empty() {
            FARTHEST
        } else {
            MOST_READ
        };
        !self.complete && self.loaded < self.window && self.read < most
    }

    async fn read_window(&mut self, app: &App) -> Result<(), Fault> {
        let after = self.after.take();
        let rows = self.scan(app, after).await?;
        self.complete = rows.len() < self.window;
        self.after = rows.last().map(|(key, _)| key.clone());
        self.read += rows.len();
        let before = self.loaded;
        for (_, row) in rows {
            if let Some(row) = row {
                self.take_in(app, row);
            }
        }
        match self.after.clone() {
            Some(end) if self.loaded > before => self.look_back(app, &end).await,
            _ => Ok(()),
        }
    }

    /// Takes in what was written in front of `end` since that was read.
    async fn look_back(&mut self, app: &App, end: &[u8]) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let rows = self.scan(app, after.take()).await?;
            let over = rows.len() < self.window;
            for (key, row) in rows {
                if key.as_slice() >= end {
                    return Ok(());
                }
                if let Some(row) = row {
                    self.take_in(app, row);
                }
                after = Some(key);
            }
            if over {
                return Ok(());
            }
        }
    }

    /// The next rows behind a key; `None` for one that cannot be read.
    async fn scan(
        &self,
        app: &App,
        after: Option<Vec<u8>>,
    ) -> Result<Vec<(Vec<u8>, Option<Stored<OutboxRow>>)>, Fault> {
        let scan = Scan {
            prefix: keys::outbox(self.lane).bytes().to_vec(),
            after,
            order: Order::Ascending,
            limit: self.window,
        };
        let rows = Reading::new(app).scan_past(scan).await?.into_iter();
        let rows = rows.map(|(key, entry)| {
            let decoded = records::decode::<OutboxRow>(&entry.value);
            // Others do not wait for what cannot be read; `countersign store check` names it.
            let decoded = decoded.inspect_err(|error| {
                tracing::debug!("a row of {} is passed over: {error}", self.lane.receiver);
            });
            let version = entry.version;
            (key, decoded.ok().map(|record| Stored { record, version }))
        });
        Ok(rows.collect())
    }

    /// Puts a row into the queue of its thread, unless it is there already, or under way, or its thread waits.
    fn take_in(&mut self, app: &App, row: Stored<OutboxRow>) {
        let (thread, sid) = (row.record.message.thread(), row.record.sid);
        let under_way = self.under_way.get(&thread);
        if self.waiting.contains(&thread) || under_way.is_some_and(|row| row.sid == sid) {
            return;
        }
        let queue = self.queues.get(&thread);
        let place = queue.map_or(0, |queue| queue.partition_point(|other| other.record.sid < sid));
        let at_place = queue.and_then(|queue| queue.get(place));
        if at_place.is_some_and(|other| other.record.sid == sid) {
            return;
        }
        let now = app.clock.now();
        let first = place == 0 && !self.under_way.contains_key(&thread);
        // More than fit into memory came in front of what was read: the next pass begins with them.
        let full = self.loaded >= 2 * self.window;
        if full || (first && free_at(app, &row.record) > now) {
            // All that is known of the thread has to wait for this one.
            self.ready.retain(|ready| *ready != thread);
            self.again.retain(|again| *again != thread);
            let until = if full { now } else { look_at(app, &row.record) };
            return self.stays(thread, until);
        }
        let queue = self.queues.entry(thread).or_default();
        let is_only = queue.is_empty();
        queue.insert(place, row);
        self.loaded += 1;
        if first && is_only {
            self.may_go(app, thread);
        }
    }

    fn wait(&mut self, thread: Thread, until: Timestamp) {
        self.waiting.insert(thread);
        self.earliest = Some(self.earliest.map_or(until, |earliest| earliest.min(until)));
    }
}

/// How many rows one pass reads: what was due again meanwhile gets its turn, at its place in the order.
const MOST_READ: usize = 4096;

/// How many rows one pass reads in search of the first one that does not wait.
const FARTHEST: usize = 16 * MOST_READ;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::entity::EntityScope;
    use crate::domain::events::{Event, EventType, OutboxMessage};
    use crate::domain::factor::FactorType;
    use crate::domain::outbox::Receiver;
    use crate::domain::sid::{AccountSid, EntitySid, FactorSid, ServiceSid, WebhookSid};
    use crate::domain::text::Identity;
    use crate::doubles::TestParts;
    use crate::flows::outbox::rows::put_row;
    use crate::store::Batch;

    fn app() -> App {
        TestParts::default().wire()
    }

    fn lane() -> Lane {
        Lane {
            account: AccountSid::from_bytes([2; 16]),
            receiver: Receiver::Webhook(WebhookSid::from_bytes([1; 16])),
        }
    }

    /// Adds `count` rows of the factor that `factor` says for each of them, due at `next_at`.
    async fn fill(app: &App, count: u32, next_at: Timestamp, factor: impl Fn(u32) -> u32) {
        let (mut batch, mut last) = (Batch::new(), last_of(app).await);
        for number in 0..count {
            let sid = EventSid::generate_after(last, app.clock.now(), app.sids.as_ref());
            batch = put_row(batch, &row(app, sid, next_at, factor(number))).unwrap();
            last = Some(sid);
        }
        app.store.commit(batch).await.unwrap();
    }

    /// The last row of the lane.
    async fn last_of(app: &App) -> Option<EventSid> {
        let scan = Scan {
            prefix: keys::outbox(lane()).bytes().to_vec(),
            after: None,
            order: Order::Descending,
            limit: 1,
        };
        let (key, _) = app.store.scan(scan).await.unwrap().pop()?;
        keys::last_sid(&key).map(EventSid::from_bytes)
    }

    /// A row of this factor.
    fn row(app: &App, sid: EventSid, next_at: Timestamp, factor: u32) -> OutboxRow {
        let now = app.clock.now();
        let scope = EntityScope {
            account: AccountSid::from_bytes([2; 16]),
            service: ServiceSid::from_bytes([3; 16]),
            identity: Identity::parse("user-0001").unwrap(),
            entity: EntitySid::from_bytes([4; 16]),
        };
        let mut of = [0; 16];
        of[..4].copy_from_slice(&factor.to_be_bytes());
        let message = OutboxMessage::Webhook {
            webhook: WebhookSid::from_bytes([1; 16]),
            event: Event::new(
                EventType::FactorCreated,
                now,
                &scope,
                FactorSid::from_bytes(of),
                FactorType::Totp,
            ),
        };
        OutboxRow {
            next_at,
            ..OutboxRow::new(sid, now, message)
        }
    }

    /// Delivers, `width` at a time; the rows in their order, and the most rows that were in memory.
    async fn deliver_all(app: &App, width: usize) -> (Vec<OutboxRow>, usize) {
        let (mut delivered, mut most) = (Vec::new(), 0);
        loop {
            let mut reader = LaneReader::over(lane(), 256, HashSet::new());
            let mut under_way = VecDeque::new();
            loop {
                while under_way.len() < width
                    && let Some(row) = reader.next(app).await.unwrap()
                {
                    under_way.push_back(row.record);
                }
                most = most.max(reader.loaded() + under_way.len());
                let Some(row) = under_way.pop_front() else {
                    break;
                };
                let key = keys::outbox_row(lane(), row.sid).into_bytes();
                app.store.commit(Batch::new().delete(key)).await.unwrap();
                reader.gone(app, row.message.thread());
                delivered.push(row);
            }
            if reader
                .next_at(app.clock.now())
                .is_none_or(|at| at > app.clock.now())
            {
                return (delivered, most);
            }
        }
    }

    #[tokio::test]
    async fn a_lane_of_a_hundred_thousand_rows_is_never_loaded_whole() {
        let app = app();
        fill(&app, 100_000, app.clock.now(), |number| number % 1000).await;
        let (delivered, most) = deliver_all(&app, 8).await;
        assert_eq!(delivered.len(), 100_000);
        assert!(most <= 2 * 256 + 8, "{most} rows in memory");
        let mut last: HashMap<Thread, OutboxRow> = HashMap::new();
        for row in delivered {
            let earlier = last.insert(row.message.thread(), row.clone());
            assert!(earlier.is_none_or(|earlier| earlier.sid < row.sid));
        }
    }

    #[tokio::test]
    async fn rows_of_one_factor_are_never_under_way_together() {
        let app = app();
        fill(&app, 1000, app.clock.now(), |_| 7).await;
        let mut reader = LaneReader::over(lane(), 256, HashSet::new());
        let first = reader.next(&app).await.unwrap().unwrap();
        assert!(reader.next(&app).await.unwrap().is_none());
        assert!(reader.loaded() <= 512);
        reader.stays(
            first.record.message.thread(),
            app.clock.now() + Duration::from_secs(1),
        );
        assert!(reader.next(&app).await.unwrap().is_none());
    }

    /// Two processes write rows while this one reads: one's clock is behind what was read, the other's is not.
    #[tokio::test]
    async fn what_is_written_in_front_of_what_was_read_is_not_overtaken() {
        let (app, now) = (app(), Timestamp::from_seconds(1_800_000_000));
        let at = |seconds: u64| EventSid::generate(now + Duration::from_secs(seconds), app.sids.as_ref());
        let put = async |sid, factor| {
            let batch = put_row(Batch::new(), &row(&app, sid, now, factor)).unwrap();
            app.store.commit(batch).await.unwrap();
        };
        for (seconds, factor) in [(100, 1), (101, 2), (110, 3), (120, 5)] {
            put(at(seconds), factor).await;
        }
        let mut reader = LaneReader::over(lane(), 3, HashSet::new());
        let first = reader.next(&app).await.unwrap().unwrap().record;
        // Of a factor that was seen, of one that was not, and of one that is under way.
        let rows = [(at(105), at(200), 2), (at(51), at(201), 4), (at(106), at(202), 1)];
        for (earlier, later, factor) in rows {
            put(earlier, factor).await;
            put(later, factor).await;
        }
        let mut delivered = vec![first.clone()];
        let mut under_way = VecDeque::from([first]);
        while let Some(row) = under_way.pop_front() {
            let key = keys::outbox_row(lane(), row.sid).into_bytes();
            app.store.commit(Batch::new().delete(key)).await.unwrap();
            reader.gone(&app, row.message.thread());
            while let Some(row) = reader.next(&app).await.unwrap() {
                delivered.push(row.record.clone());
                under_way.push_back(row.record);
            }
        }
        assert_eq!(delivered.len(), 10);
        let mut last: HashMap<Thread, EventSid> = HashMap::new();
        for row in delivered {
            let earlier = last.insert(row.message.thread(), row.sid);
            assert!(earlier.is_none_or(|earlier| earlier < row.sid), "{row:?}");
        }
    }

    #[tokio::test]
    async fn what_is_behind_many_rows_that_wait_is_found_and_their_lane_does_not_spin() {
        let app = app();
        let later = app.clock.now() + Duration::from_mins(1);
        fill(&app, 10_000, later, |number| number % 10).await;
        fill(&app, 1, app.clock.now(), |_| 99).await;
        let (delivered, _) = deliver_all(&app, 8).await;
        assert_eq!(delivered.len(), 1);
        let mut reader = LaneReader::over(lane(), 256, HashSet::new());
        assert!(reader.next(&app).await.unwrap().is_none());
        assert_eq!(reader.next_at(app.clock.now()), Some(later));
    }
}
