//! The table: each row is printed as soon as it is known.

use std::time::Duration;

/// Whatever went wrong; a measurement that fails ends the program.
pub type Problem = Box<dyn std::error::Error + Send + Sync>;

/// The table, its head printed.
pub struct Table(());

impl Table {
    /// Prints the head.
    pub fn begin() -> Self {
        println!(
            "| {:<58} | {:>9} | {:>9} | {:>9} | {:>4} | {:>7} |",
            "figure", "median", "best", "worst", "of", "aim"
        );
        println!(
            "| {:-<58} | --------: | --------: | --------: | ---: | ------: |",
            ""
        );
        Self(())
    }

    /// A row of times, in milliseconds; `aim` is for people, empty where there is none.
    pub fn millis(&mut self, figure: &str, aim: &str, times: Vec<Duration>) {
        let millis = times
            .iter()
            .map(|time| time.as_secs_f64() * 1000.0)
            .collect();
        self.row(&format!("{figure}, ms"), aim, millis, 1);
    }

    /// A row of plain numbers, such as counts.
    pub fn numbers(&mut self, figure: &str, aim: &str, numbers: Vec<f64>) {
        self.row(figure, aim, numbers, 0);
    }

    /// A row of ratios.
    pub fn ratios(&mut self, figure: &str, aim: &str, ratios: Vec<f64>) {
        self.row(figure, aim, ratios, 2);
    }

    fn row(&mut self, figure: &str, aim: &str, mut values: Vec<f64>, digits: usize) {
        values.sort_by(f64::total_cmp);
        let at = |index: usize| values.get(index).copied().unwrap_or(f64::NAN);
        println!(
            "| {figure:<58} | {:>9.digits$} | {:>9.digits$} | {:>9.digits$} | {:>4} | {aim:>7} |",
            at(values.len() / 2),
            at(0),
            at(values.len().saturating_sub(1)),
            values.len(),
        );
    }
}
