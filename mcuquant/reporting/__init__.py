"""Tables, records, comparisons and the HTML report."""
