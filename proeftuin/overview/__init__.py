"""The client's overview (Wabvpz art. 15e) as the log gives it and as its reader checks it: one code, so that neither is trusted."""
