//! One page that needs nothing else: no script, no font, no server.

use super::svg::{STYLE, escape, short};
use super::{Report, Row, curves, ratios};
use crate::peer::Name;
use crate::stats::Ratio;

const PAGE_STYLE: &str = "\
body{margin:0;background:var(--back);color:var(--text);font:15px/1.5 system-ui,sans-serif}\
main{max-width:940px;margin:0 auto;padding:32px 16px}h1{margin:0}h2{margin:40px 0 8px}\
p,.note{color:var(--muted);margin:4px 0 12px}svg{width:100%;height:auto}\
.tiles,.charts{display:grid;gap:16px;grid-template-columns:repeat(auto-fit,minmax(200px,1fr))}\
.charts{grid-template-columns:repeat(auto-fit,minmax(380px,1fr))}\
.tiles div{border:1px solid var(--grid);border-radius:8px;padding:12px 16px;color:var(--muted)}\
.tiles b{display:block;font-size:28px;color:var(--jenny)}\
.scroll{overflow-x:auto}table{border-collapse:collapse;font-size:13px;white-space:nowrap}\
th,td{padding:3px 10px;border-bottom:1px solid var(--grid);text-align:right;\
font-variant-numeric:tabular-nums}\
th:first-child,td:first-child,th:nth-last-child(-n+2),td:nth-last-child(-n+2){text-align:left}\
.missed{color:var(--missed)}.jenny{color:var(--jenny)}.floor{color:var(--floor)}";

pub(crate) fn page(report: &Report) -> String {
    let mut body = format!(
        "<h1>jenny next to its peers</h1><p>{}</p>{}",
        escape(&report.introduction()),
        tiles(report)
    );
    body += &section(
        "Ratios",
        "Medians of rounds in strict alternation in one process, with 95 % intervals by bootstrap. \
         Point at a row for its figures.",
        &ratios::inline(report),
    );
    body += &charts(
        "Over workers and threads",
        "Throughput on this machine; with more workers than cores, what is seen is what they cost.",
        &curves::scaling(report),
    );
    body += &charts(
        "Latency",
        "From a wake outside the runtime to the poll of the task, all workers parked before.",
        &curves::latencies(report),
    );
    if let Some(bars) = curves::memory(report) {
        body += &section("Memory", "Resident bytes, each measured in a process of its own.", &bars);
    }
    body += &section(
        "All figures",
        "Medians, in the unit of the column so called. CPU: processor time of the whole process, in \
         nanoseconds per operation. The floor is what is left without any runtime; a goal below it is \
         one that the machine forbids.",
        &table(report),
    );
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <meta name=\"color-scheme\" content=\"light dark\"><title>jenny-bench</title>\
         <style>{STYLE}{PAGE_STYLE}</style></head><body><main>{body}</main></body></html>\n"
    )
}

fn section(title: &str, note: &str, content: &str) -> String {
    format!("<h2>{title}</h2><p class=\"note\">{note}</p><div class=\"scroll\">{content}</div>")
}

/// Nothing if there are none.
fn charts(title: &str, note: &str, charts: &[String]) -> String {
    if charts.is_empty() {
        return String::new();
    }
    let content: String = charts.iter().map(|chart| format!("<div>{chart}</div>")).collect();
    format!("<h2>{title}</h2><p class=\"note\">{note}</p><div class=\"charts\">{content}</div>")
}

fn tiles(report: &Report) -> String {
    let rows = &report.rows;
    let met = rows.iter().filter(|row| row.verdict.is_met()).count();
    let mut tiles = tile(&format!("{met} of {}", rows.len()), "goals met");
    for peer in [Name::Tokio, Name::Smol] {
        let ratios: Vec<f64> =
            rows.iter().filter_map(|row| Some(row.of(peer)?.ratio.median)).collect();
        let ahead = ratios.iter().filter(|ratio| **ratio < 1.0).count();
        tiles += &tile(&format!("{ahead} of {}", ratios.len()), &format!("cases ahead of {peer}"));
        if peer == Name::Tokio {
            let mean = ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64;
            let text = "of what Tokio takes, geometric mean of all cases";
            tiles += &tile(&short(mean.exp()), text);
        }
    }
    format!("<div class=\"tiles\">{tiles}</div>")
}

fn tile(figure: &str, text: &str) -> String {
    format!("<div><b>{figure}</b>{text}</div>")
}

fn table(report: &Report) -> String {
    let heads = [
        "case",
        "jenny / Tokio",
        "95 %",
        "goal",
        "",
        "floor / Tokio",
        "jenny / smol",
        "95 %",
        "jenny",
        "Tokio",
        "smol",
        "floor",
        "unit",
        "CPU jenny",
        "CPU Tokio",
        "CPU smol",
        "CPU floor",
        "rounds",
        "what",
        "the floor",
    ];
    let heads: String = heads.map(|head| format!("<th>{head}</th>")).concat();
    let rows: String = report.rows.iter().map(line).collect();
    format!("<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>")
}

fn line(row: &Row) -> String {
    let mut cells = vec![row.case.to_owned()];
    let ratio = |peer| match row.of(peer).map(|figures| figures.ratio) {
        Some(Ratio { median, low, high }) => {
            [format!("{median:.3}"), format!("{low:.3} to {high:.3}")]
        }
        None => ["-".to_owned(), String::new()],
    };
    cells.extend(ratio(Name::Tokio));
    cells.push(row.goal());
    let class = ratios::class(row.verdict);
    cells.push(format!("<span class=\"{class}\">{}</span>", row.verdict.text()));
    let floor = row.floor.map(|floor| floor.ratio.median);
    cells.push(floor.map_or("-".to_owned(), |ratio| format!("{ratio:.3}")));
    cells.extend(ratio(Name::Smol));
    let or_dash = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.1}"));
    cells.extend(Name::ALL.map(|peer| or_dash(row.of(peer).map(|figures| figures.median))));
    cells.push(row.unit.symbol().to_owned());
    cells.extend(Name::ALL.map(|peer| or_dash(row.of(peer).and_then(|figures| figures.cpu_nanos))));
    cells.push(row.rounds.to_string());
    cells.push(escape(row.what));
    cells.push(row.floor.map_or(String::new(), |floor| escape(floor.what)));
    format!("<tr><td>{}</td></tr>", cells.join("</td><td>"))
}
