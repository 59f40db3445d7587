//! What leaves the queue together, in which order, and what does not leave it at all.

use std::task::Poll;
use std::time::Duration;

use super::*;
use crate::store::Version;

type Answered = oneshot::Receiver<Result<(), CommitError>>;

fn push(queue: &CommitQueue, batch: Batch) -> Answered {
    let (answer, answered) = oneshot::channel();
    let deadline = Instant::now() + Duration::from_mins(1);
    queue.push(batch, answer, deadline).unwrap();
    answered
}

fn put(key: &str) -> Batch {
    Batch::new().put(key.into(), vec![])
}

fn written(group: &TakenGroup) -> Vec<String> {
    let key = |taken: &TakenBatch| String::from_utf8(taken.batch.puts[0].key.clone()).unwrap();
    group.batches.iter().map(key).collect()
}

#[tokio::test]
async fn batches_about_one_key_go_one_after_the_other() {
    let queue = Arc::new(CommitQueue::default());
    let _answers = ["a", "b", "a"].map(|key| push(&queue, put(key)));
    let first = queue.next().await.unwrap();
    assert_eq!(written(&first), ["a", "b"]);
    let _last = push(&queue, put("c"));
    let second = queue.next().await.unwrap();
    assert_eq!(written(&second), ["c"], "nobody waits for a key that is not his");
    drop(first);
    assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
}

#[tokio::test]
async fn what_one_asserts_the_other_does_not_write_meanwhile() {
    let queue = Arc::new(CommitQueue::default());
    let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
    let _answers = [
        push(&queue, asserting("a")),
        push(&queue, put("account")),
        push(&queue, asserting("b")),
    ];
    let first = queue.next().await.unwrap();
    assert_eq!(written(&first), ["a"], "whoever came first keeps its place");
    drop(first);
    let second = queue.next().await.unwrap();
    assert_eq!(written(&second), ["account"]);
    drop(second);
    assert_eq!(written(&queue.next().await.unwrap()), ["b"]);
}

#[tokio::test]
async fn many_assert_one_key_together() {
    let queue = Arc::new(CommitQueue::default());
    let asserting = |key: &str| put(key).assert_at(b"account".to_vec(), Version(1));
    let _answers = [push(&queue, asserting("a")), push(&queue, asserting("b"))];
    assert_eq!(written(&queue.next().await.unwrap()), ["a", "b"]);
}

#[tokio::test]
async fn however_many_wait_for_one_key_the_others_go() {
    let queue = Arc::new(CommitQueue::default());
    let mut answers: Vec<Answered> = (0..5_000).map(|_| push(&queue, put("hot"))).collect();
    answers.push(push(&queue, put("cold")));
    assert_eq!(written(&queue.next().await.unwrap()), ["hot", "cold"]);
}

#[tokio::test]
async fn what_rests_on_what_was_overwritten_is_refused_at_once() {
    let queue = Arc::new(CommitQueue::default());
    let at = |version| put("a").assert_at(b"a".to_vec(), Version(version));
    let _winner = push(&queue, at(1));
    let lost = [
        push(&queue, at(1)),
        push(&queue, put("a").assert_absent(b"a".to_vec())),
    ];
    // Whoever has read the new version already, and who rests on nothing.
    let _others = [push(&queue, at(2)), push(&queue, put("a"))];
    let winner = queue.next().await.unwrap().batches.remove(0);
    assert_eq!(winner.answer(Ok(Version(2))), 2);
    for lost in lost {
        assert!(matches!(lost.await.unwrap(), Err(CommitError::Conflict)));
    }
    let reader = queue.next().await.unwrap();
    assert_eq!(reader.batches.len(), 1);
    assert_eq!(reader.batches[0].batch.assertions.len(), 1);
    drop(reader);
    assert!(queue.next().await.unwrap().batches[0].batch.assertions.is_empty());
    assert!(queue.state().lines.is_empty());
    assert_eq!(queue.state().waiting_bytes, 0);
}

#[tokio::test]
async fn what_rests_on_the_absence_of_what_was_deleted_is_not_refused() {
    let queue = Arc::new(CommitQueue::default());
    let _winner = push(&queue, Batch::new().delete(b"a".to_vec()));
    let _absent = push(&queue, put("b").assert_absent(b"a".to_vec()));
    let lost = push(&queue, put("c").assert_at(b"a".to_vec(), Version(1)));
    let winner = queue.next().await.unwrap().batches.remove(0);
    assert_eq!(winner.answer(Ok(Version(2))), 1);
    assert!(matches!(lost.await.unwrap(), Err(CommitError::Conflict)));
    assert_eq!(written(&queue.next().await.unwrap()), ["b"]);
}

#[tokio::test]
async fn who_waits_behind_one_that_is_refused_goes_in_its_place() {
    let queue = Arc::new(CommitQueue::default());
    let at = |key: &str, version| put(key).assert_at(b"a".to_vec(), Version(version));
    let _winner = push(&queue, put("x").put(b"b".to_vec(), vec![]));
    let _reader = push(&queue, at("c", 1));
    // It waits for both.
    let lost = push(&queue, put("a").assert_at(b"b".to_vec(), Version(1)));
    let _behind = push(&queue, at("d", 1));
    let mut first = queue.next().await.unwrap();
    assert_eq!(written(&first), ["x", "c"]);
    assert_eq!(first.batches.remove(0).answer(Ok(Version(2))), 1);
    assert!(matches!(lost.await.unwrap(), Err(CommitError::Conflict)));
    assert_eq!(written(&queue.next().await.unwrap()), ["d"]);
}

#[tokio::test]
async fn a_batch_that_is_dropped_lets_go_of_its_keys() {
    let queue = Arc::new(CommitQueue::default());
    let first = push(&queue, put("a"));
    let _second = push(&queue, put("a"));
    drop(queue.next().await.unwrap());
    assert!(first.await.is_err(), "nobody will answer it");
    assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn what_has_waited_too_long_is_refused_and_not_written() {
    let queue = Arc::new(CommitQueue::default());
    let late = push(&queue, put("a"));
    tokio::time::advance(Duration::from_secs(61)).await;
    let _in_time = push(&queue, put("a"));
    let group = queue.next().await.unwrap();
    assert_eq!(group.batches.len(), 1);
    assert!(matches!(late.await.unwrap(), Err(CommitError::Store(_))));
}

#[tokio::test]
async fn no_more_wait_than_can_be_answered() {
    let queue = CommitQueue::default();
    let _answers: Vec<Answered> = (0..MAX_WAITING)
        .map(|key| push(&queue, put(&key.to_string())))
        .collect();
    let refused = queue.push(put("more"), oneshot::channel().0, Instant::now());
    assert!(refused.unwrap_err().to_string().contains("too many"));
}

#[tokio::test]
async fn what_waits_is_bounded_in_bytes() {
    let queue = CommitQueue::default();
    let big = || Batch::new().put(b"key".to_vec(), vec![0; MAX_WAITING_BYTES / 4]);
    let _answers = [(); 4].map(|()| push(&queue, big()));
    let refused = queue.push(put("more"), oneshot::channel().0, Instant::now());
    assert!(refused.unwrap_err().to_string().contains("too many"));
}

#[tokio::test]
async fn a_closed_queue_is_emptied_and_then_ends() {
    let queue = Arc::new(CommitQueue::default());
    let _answer = push(&queue, put("a"));
    queue.close();
    assert_eq!(written(&queue.next().await.unwrap()), ["a"]);
    assert!(queue.next().await.is_none());
    assert!(queue.next().await.is_none());
}

#[tokio::test(start_paused = true)]
async fn groups_go_one_after_the_other_while_they_are_quick() {
    let queue = Arc::new(CommitQueue::default());
    let begun = Instant::now();
    let _answers = ["a", "b"].map(|key| push(&queue, put(key)));
    let first = queue.next().await.unwrap();
    let next = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await.unwrap() }
    });
    let _more = ["c", "d"].map(|key| push(&queue, put(key)));
    tokio::time::sleep(ALONE / 2).await;
    assert!(!next.is_finished());
    let _last = push(&queue, put("e"));
    drop(first);
    let second = next.await.unwrap();
    assert_eq!(written(&second), ["c", "d", "e"]);
    assert!(begun.elapsed() < ALONE);
}

#[tokio::test(start_paused = true)]
async fn what_fills_a_group_waits_less() {
    let queue = Arc::new(CommitQueue::default());
    let begun = Instant::now();
    let _first = push(&queue, put("first"));
    let _under_way = queue.next().await.unwrap();
    // Two wait, and one of them watches before the group is full.
    let mut waiting = [(); 2].map(|()| {
        let queue = Arc::clone(&queue);
        Box::pin(async move { queue.next().await.unwrap() })
    });
    let more = push(&queue, put("more"));
    for one in &mut waiting {
        for _ in 0..4 {
            poll(one).await;
        }
    }
    let _more: Vec<Answered> = (1..MAX_GROUP)
        .map(|key| push(&queue, put(&key.to_string())))
        .collect();
    let [one, other] = waiting;
    let group = tokio::select! {
        group = one => group,
        group = other => group,
    };
    assert_eq!(group.batches.len(), MAX_GROUP);
    assert_eq!(begun.elapsed(), ALONE_BEFORE_A_FULL_ONE);
    drop(more);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_takes_long_holds_nobody_up() {
    let queue = Arc::new(CommitQueue::default());
    let mut answers = vec![push(&queue, put("0"))];
    let begun = Instant::now();
    let mut stuck = Vec::new();
    for number in 1..=5_u32 {
        stuck.push(queue.next().await.unwrap());
        answers.push(push(&queue, put(&number.to_string())));
        assert_eq!(
            begun.elapsed().as_millis() / ALONE.as_millis(),
            u128::from(number) - 1
        );
    }
}

/// Several writers wait, and whichever of them hears of the end of a group: what comes then is not left lying.
#[tokio::test(start_paused = true)]
async fn what_comes_when_nothing_is_under_way_goes_at_once() {
    let queue = Arc::new(CommitQueue::default());
    let writer = |queue: &Arc<CommitQueue>| {
        let queue = Arc::clone(queue);
        async move {
            while let Some(group) = queue.next().await {
                tokio::time::sleep(ALONE / 4).await;
                for batch in group.batches {
                    batch.answer(Ok(Version(1)));
                }
            }
        }
    };
    let writers = [(); 4].map(|()| tokio::spawn(writer(&queue)));
    for number in 0..100_u32 {
        // Two of three come while another one is under way.
        let begun = Instant::now();
        let mut answers = Vec::new();
        for part in 0..3_u32 {
            answers.push(push(&queue, put(&format!("{number} {part}"))));
            tokio::time::sleep(ALONE / 16).await;
        }
        for answer in answers {
            answer.await.unwrap().unwrap();
        }
        assert!(begun.elapsed() < ALONE * 3 / 4, "{number}: {:?}", begun.elapsed());
        tokio::time::sleep(ALONE * (number % 3)).await;
    }
    queue.close();
    for writer in writers {
        writer.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn who_is_freed_by_a_part_of_a_group_does_not_wait_for_its_rest() {
    let queue = Arc::new(CommitQueue::default());
    let at = |key: &str, version| put(key).assert_at(b"a".to_vec(), Version(version));
    let _winner = push(&queue, put("x").put(b"b".to_vec(), vec![]));
    let _reader = push(&queue, at("c", 1));
    let _lost = push(&queue, put("a").assert_at(b"b".to_vec(), Version(1)));
    let _behind = push(&queue, at("d", 1));
    let mut group = queue.next().await.unwrap();
    let next = tokio::spawn({
        let queue = Arc::clone(&queue);
        async move { queue.next().await.unwrap() }
    });
    tokio::time::sleep(ALONE * 2).await;
    assert!(!next.is_finished());
    assert_eq!(group.batches.remove(0).answer(Ok(Version(2))), 1);
    let next = tokio::time::timeout(ALONE, next).await.unwrap().unwrap();
    assert_eq!(written(&next), ["d"]);
}

/// Polls once.
async fn poll<T>(waiting: &mut (impl Future<Output = T> + Unpin)) {
    let mut waiting = std::pin::Pin::new(waiting);
    let polled = std::future::poll_fn(|context| Poll::Ready(waiting.as_mut().poll(context)));
    assert!(polled.await.is_pending());
}

/// As a writer does that has waited long and looks after its connection.
#[tokio::test(start_paused = true)]
async fn who_ceases_to_wait_leaves_what_came_to_another_one() {
    let queue = Arc::new(CommitQueue::default());
    let _under_way = push(&queue, put("under way"));
    for another_is_under_way in [false, true] {
        let group = queue.next().await.unwrap();
        let under_way = another_is_under_way.then_some(group);
        let mut ceases = Box::pin(queue.next());
        let mut stays = Box::pin(queue.next());
        // Until nothing is left of what woke them before.
        for waiting in [&mut ceases, &mut stays] {
            for _ in 0..4 {
                poll(waiting).await;
            }
        }
        let _first = push(&queue, put("what came"));
        // It is woken, and goes to look, or watches what is under way.
        for _ in 0..=u32::from(another_is_under_way) {
            poll(&mut ceases).await;
        }
        assert_eq!(queue.state().watched.is_some(), another_is_under_way);
        drop(ceases);
        let got = tokio::time::timeout(ALONE * 2, stays).await.unwrap().unwrap();
        assert_eq!(written(&got), ["what came"], "{another_is_under_way}");
        drop(under_way);
        drop(got);
        let _next = push(&queue, put("under way"));
    }
}
