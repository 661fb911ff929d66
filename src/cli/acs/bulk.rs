use super::task::{How, refused};
use super::what::What;
use crate::acs::task::{BulkOrder, Tasks};
use crate::cli::device::Filter;
use crate::cli::fleet::{actor, block_on, open};
use crate::cli::{Ending, Failure, output};
use crate::config::Config;

/// Ask many phones for something, each at its next session with the ACS.
///
/// Say which by the filters, or --all. Exit code 1 if some of them can't do it; the others are asked all the same.
#[derive(Debug, clap::Args)]
pub struct Bulk {
    #[command(flatten)]
    filter: Filter,
    /// All phones that there are.
    #[arg(long)]
    all: bool,
    /// So many phones a minute: the task becomes due for them one after the other. Left out: all at once.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), global = true)]
    rate: Option<u32>,
    /// Cancel what is left when so many have failed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000), global = true)]
    stop_after: Option<u32>,
    #[command(flatten)]
    how: How,
    #[command(subcommand)]
    what: What,
}

impl Bulk {
    pub fn run(&self, config: &Config) -> Result<Ending, Failure> {
        let query = self.filter.query();
        if query == crate::fleet::Query::default() && !self.all {
            return Err(Failure::Other("say which phones: by --group, --model and so on, or --all".to_owned()));
        }
        let order = BulkOrder { order: self.how.order(&self.what)?, rate: self.rate, stop_after: self.stop_after };
        block_on(async {
            let tasks = Tasks::new(open(config).await?);
            let ordered = match tasks.order_bulk(&query, &order, &actor()).await {
                Ok(ordered) => ordered,
                Err(error) => return refused(error),
            };
            for (mac, why) in &ordered.refused {
                eprintln!("{mac}: {why}");
            }
            if ordered.refused_more > 0 {
                eprintln!("… and {} more", ordered.refused_more);
            }
            let Some(id) = &ordered.id else {
                eprintln!("resyncd: there is no phone that it could be asked of");
                return Ok(Ending::Findings);
            };
            output::write(|out| writeln!(out, "bulk {id}: {} for {} phones", order.order.spec.word(), ordered.tasks))?;
            let is_whole = ordered.refused.is_empty() && ordered.refused_more == 0;
            Ok(if is_whole { Ending::Fine } else { Ending::Findings })
        })
    }
}
