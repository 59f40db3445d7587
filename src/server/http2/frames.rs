//! The frames that a client sends, counted as they are read: some bring nothing that anybody waits for.
//!
//! Whoever speaks HTTP/2 has to answer pings, settings and resets, so a client that sends little else makes others work
//! for nothing. It gets a budget for such frames that grows with time, with what it asks for and with what it is sent.
//! Everybody who means well stays far below: a window update or two for some kilobytes of answers, a ping now and then, a
//! reset for what it no longer wants.
//!
//! A head that is begun must be complete in time, also if it comes in pieces; nobody else's frames can come in between.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::Instant;

use crate::dialect::Stage;
use crate::server::patience::{PREFACE_BYTES, Patient};

/// A connection whose frames are counted.
pub(super) struct Counting<Stream> {
    stream: Patient<Stream>,
    frames: Frames,
}

impl<Stream> Counting<Stream> {
    /// Counts the frames of `stream`, of which nothing was read yet.
    pub(super) fn new(stream: Patient<Stream>) -> Self {
        Self {
            stream,
            frames: Frames::new(Instant::now()),
        }
    }

    fn earn(&mut self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        if let Poll::Ready(Ok(bytes)) = written {
            self.frames.budget.earn(bytes);
        }
        written
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Counting<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let polled = Pin::new(&mut this.stream).poll_read(cx, buf);
        if let Poll::Ready(Ok(())) = polled {
            match this.frames.read(&buf.filled()[before..]) {
                Ok(Owed::AsBefore) => {}
                Ok(Owed::Head) => this.stream.begin(Stage::Head),
                Ok(Owed::Nothing) => this.stream.begin(Stage::Answering),
                Err(Flood) => {
                    return Poll::Ready(Err(io::Error::other("too many frames that bring nothing")));
                }
            }
        }
        polled
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Counting<Stream> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.earn(polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.earn(polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where in the client's frames the connection is.
struct Frames {
    at: At,
    /// The frame that is being read is part of a head, which another frame continues or not.
    head: Option<Continues>,
    budget: Budget,
}

#[derive(Clone, Copy)]
enum At {
    /// So many bytes of the preface are still to come.
    Preface(usize),
    /// So many bytes of a frame's header are there.
    Header([u8; HEADER_BYTES], usize),
    /// So many bytes of a frame are still to come.
    Payload(usize),
}

/// Whether another frame belongs to the same head.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Continues {
    Yes,
    No,
}

/// What the client owes behind what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owed {
    AsBefore,
    /// The rest of a head that has just begun.
    Head,
    Nothing,
}

/// The client sends too much that brings nothing.
#[derive(Debug, PartialEq, Eq)]
struct Flood;

impl Frames {
    /// A connection that has just begun: the client owes the preface and its first frame.
    fn new(now: Instant) -> Self {
        Self {
            at: At::Preface(PREFACE_BYTES),
            head: Some(Continues::No),
            budget: Budget {
                left: MOST,
                filled: now,
                unpaid: 0,
            },
        }
    }

    /// Takes in what was read.
    fn read(&mut self, mut bytes: &[u8]) -> Result<Owed, Flood> {
        let mut owed = Owed::AsBefore;
        while !bytes.is_empty() {
            match &mut self.at {
                At::Preface(left) | At::Payload(left) => {
                    let read = bytes.len().min(*left);
                    bytes = &bytes[read..];
                    *left -= read;
                }
                At::Header(header, there) => {
                    let read = bytes.len().min(HEADER_BYTES - *there);
                    header[*there..][..read].copy_from_slice(&bytes[..read]);
                    bytes = &bytes[read..];
                    *there += read;
                    if *there == HEADER_BYTES {
                        let header = *header;
                        let [high, middle, low, kind, flags, ..] = header;
                        let length = u32::from_be_bytes([0, high, middle, low]);
                        self.at = At::Payload(usize::try_from(length).unwrap_or(usize::MAX));
                        owed = self.begin(kind, flags).unwrap_or(owed);
                        self.budget.charge(kind, flags, length)?;
                    }
                }
            }
            owed = self.end().unwrap_or(owed);
        }
        Ok(owed)
    }

    /// A frame begins.
    fn begin(&mut self, kind: u8, flags: u8) -> Option<Owed> {
        let continues = if flags & END_HEADERS == 0 {
            Continues::Yes
        } else {
            Continues::No
        };
        match kind {
            HEADERS => {
                self.head = Some(continues);
                Some(Owed::Head)
            }
            CONTINUATION => {
                self.head = Some(continues);
                None
            }
            _ => None,
        }
    }

    /// Goes on to the next frame if this one is complete.
    fn end(&mut self) -> Option<Owed> {
        match self.at {
            At::Preface(0) => self.at = At::Header([0; HEADER_BYTES], 0),
            At::Payload(0) => {
                self.at = At::Header([0; HEADER_BYTES], 0);
                if self.head == Some(Continues::No) {
                    self.head = None;
                    return Some(Owed::Nothing);
                }
            }
            At::Preface(_) | At::Header(..) | At::Payload(_) => {}
        }
        None
    }
}

/// How many frames that bring nothing a client may still send.
struct Budget {
    left: u32,
    filled: Instant,
    /// Bytes that the client was sent and that have earned nothing yet.
    unpaid: usize,
}

impl Budget {
    /// The client was sent so many bytes, and will open its window again.
    fn earn(&mut self, bytes: usize) {
        let bytes = self.unpaid + bytes;
        self.unpaid = bytes % BYTES_EARN_ONE;
        let earned = u32::try_from(bytes / BYTES_EARN_ONE).unwrap_or(MOST);
        self.left = self.left.saturating_add(earned).min(MOST);
    }

    fn charge(&mut self, kind: u8, flags: u8, length: u32) -> Result<(), Flood> {
        let costs = match kind {
            // Also a small answer may be worth some window updates.
            HEADERS => {
                self.left = (self.left + EARNED).min(MOST);
                return Ok(());
            }
            DATA if length > 0 || flags & END_STREAM != 0 => return Ok(()),
            // What was asked for may be half done already.
            RST_STREAM => RESET,
            _ => 1,
        };
        if self.left < costs {
            // Time is asked for only here.
            let now = Instant::now();
            let grown = now.duration_since(self.filled).as_millis() * u128::from(PER_SECOND) / 1000;
            self.left = u32::try_from(grown)
                .unwrap_or(MOST)
                .saturating_add(self.left)
                .min(MOST);
            self.filled = now;
        }
        self.left = self.left.checked_sub(costs).ok_or(Flood)?;
        Ok(())
    }
}

const HEADER_BYTES: usize = 9;

// RFC 9113, section 6.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const CONTINUATION: u8 = 9;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How many frames that bring nothing a client may send at once.
const MOST: u32 = 2000;
/// How many more of them each second allows.
const PER_SECOND: u32 = 200;
/// How many more of them each request allows.
const EARNED: u32 = 4;
/// A request that is reset costs more than it earns.
const RESET: u32 = 10;
const BYTES_EARN_ONE: usize = 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn frames() -> Frames {
        Frames::new(Instant::now())
    }

    fn frame(kind: u8, flags: u8, payload: &[u8]) -> Vec<u8> {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [length[1], length[2], length[3], kind, flags, 0, 0, 0, 1];
        [&head[..], payload].concat()
    }

    fn opening() -> Vec<u8> {
        [vec![b'x'; PREFACE_BYTES], frame(4, 0, &[])].concat()
    }

    #[test]
    fn the_preface_and_the_first_frame_are_owed_and_then_each_head_that_is_begun() {
        let mut frames = frames();
        let opening = opening();
        assert_eq!(frames.read(&opening[..opening.len() - 1]), Ok(Owed::AsBefore));
        assert_eq!(frames.read(&opening[opening.len() - 1..]), Ok(Owed::Nothing));
        assert_eq!(frames.read(&frame(DATA, 0, b"xyz")), Ok(Owed::AsBefore));
        assert_eq!(frames.read(&frame(HEADERS, 0, b"xyz")), Ok(Owed::Head));
        assert_eq!(frames.read(&frame(CONTINUATION, 0, b"xyz")), Ok(Owed::AsBefore));
        assert_eq!(
            frames.read(&frame(CONTINUATION, END_HEADERS, b"")),
            Ok(Owed::Nothing)
        );
        let whole = frame(HEADERS, END_HEADERS, b"xyz");
        assert_eq!(frames.read(&whole), Ok(Owed::Nothing));
        // The next one begins before the last bytes of this are read: its time begins anew.
        assert_eq!(frames.read(&whole[..10]), Ok(Owed::Head));
        let rest_and_more = [&whole[10..], &whole[..11]].concat();
        assert_eq!(frames.read(&rest_and_more), Ok(Owed::Head));
    }

    #[test]
    fn who_only_pings_or_resets_is_a_flood_and_who_asks_is_none() {
        let most = usize::try_from(MOST).unwrap();
        let flood = |one: &[u8]| {
            let mut frames = frames();
            frames.read(&opening()).unwrap();
            (0..most * 2).position(|_| frames.read(one) == Err(Flood))
        };
        let request = frame(HEADERS, END_HEADERS, b"x");
        let reset = frame(RST_STREAM, 0, &[0; 4]);
        let (ping, settings, update) = (frame(6, 0, &[0; 8]), frame(4, 0, &[]), frame(8, 0, &[0; 4]));
        for frames in [
            &ping,
            &settings,
            &update,
            &frame(DATA, 0, b""),
            &frame(0xFA, 0, b"?"),
        ] {
            // Time may have passed, which allows for some more.
            let after = flood(frames).unwrap();
            assert!((most - 1..most + 100).contains(&after), "{after}");
        }
        let after = flood(&[&request[..], &reset].concat()).unwrap();
        assert!((most / 7..most / 5).contains(&after), "{after}");
        for good in [
            request.clone(),
            frame(DATA, 0, b"x"),
            frame(DATA, END_STREAM, b""),
            [&request[..], &update, &update, &ping].concat(),
        ] {
            assert_eq!(flood(&good), None);
        }
    }

    #[test]
    fn what_is_sent_earns_window_updates() {
        let mut frames = frames();
        frames.read(&opening()).unwrap();
        for _ in 0..MOST * 3 {
            frames.budget.earn(BYTES_EARN_ONE / 2);
            frames.budget.earn(BYTES_EARN_ONE / 2);
            frames.read(&frame(8, 0, &[0; 4])).unwrap();
        }
    }

    proptest! {
        #[test]
        fn whatever_is_sent_is_read(
            reads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 0..50),
        ) {
            let mut frames = frames();
            let _flood = reads.iter().try_for_each(|read| frames.read(read).map(drop));
        }

        #[test]
        fn how_it_is_cut_into_reads_does_not_matter(
            kinds in prop::collection::vec((0_u8..12, any::<u8>(), 0_usize..40), 0..30),
            cuts in prop::collection::vec(1_usize..50, 1..200),
        ) {
            let mut bytes = opening();
            for (kind, flags, length) in kinds {
                bytes.extend(frame(kind, flags, &vec![0; length]));
            }
            let (mut whole, mut pieces) = (frames(), frames());
            let last = |owed, next| if next == Owed::AsBefore { owed } else { next };
            let expected = whole.read(&bytes).unwrap();
            let (mut found, mut rest) = (Owed::AsBefore, &bytes[..]);
            for cut in cuts.iter().cycle() {
                let (piece, behind) = rest.split_at(rest.len().min(*cut));
                found = last(found, pieces.read(piece).unwrap());
                rest = behind;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(found, expected);
            prop_assert_eq!(pieces.budget.left, whole.budget.left);
        }
    }
}
