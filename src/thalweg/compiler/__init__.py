"""From a graph to results: passes over graphs, and the interpreter that defines their meaning."""
