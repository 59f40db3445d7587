//! What `/metrics` tells of deliveries: by which way, how they ended, how long they took.

use std::fmt;

use prometheus_client::metrics::MetricType;

use super::metrics::{MetricsPage, put_histogram};
use crate::app::App;
use crate::memory::delivery_routes::DeliveryRoute;

pub(super) fn deliveries(app: &App, page: &mut MetricsPage<'_>) -> fmt::Result {
    let routes = app.memory.routes.routes();
    let ends = routes.iter().flat_map(|counts| {
        let ends = counts.ends.iter();
        ends.map(|(end, count)| {
            let [what, provider, sender] = labels(&counts.route);
            (
                [what, provider, sender, ("outcome", end.name().to_owned())],
                *count,
            )
        })
    });
    page.counters(
        "deliveries",
        "Tries to deliver by what it was, whose protocol is spoken, the sender of codes, and how they ended",
        ends,
    )?;
    let name = "delivery_seconds";
    let help = "How long it took until a receiver had what was asked for";
    let mut family = page
        .0
        .encode_descriptor(name, help, None, MetricType::Histogram)?;
    for counts in &routes {
        put_histogram(family.encode_family(&labels(&counts.route))?, &counts.times)?;
    }
    let name = "code_answer_seconds";
    let help = "How long after a sender took a code the right one was given";
    let mut family = page
        .0
        .encode_descriptor(name, help, None, MetricType::Histogram)?;
    for (sender, times) in app.memory.routes.answers() {
        put_histogram(family.encode_family(&[("sender", sender.to_string())])?, &times)?;
    }
    Ok(())
}

fn labels(route: &DeliveryRoute) -> [(&'static str, String); 3] {
    let sender = route.sender.map_or_else(String::new, |sender| sender.to_string());
    [
        ("what", route.what.to_owned()),
        ("provider", route.provider.to_owned()),
        ("sender", sender),
    ]
}
