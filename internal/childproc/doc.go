// Package childproc runs a child process that its starter owns: the child has a process group of its own,
// its output is kept, it is stopped in an orderly way or killed, and it does not outlive this process, not
// even when this process dies by SIGKILL.
//
// Against orphans there are two measures. On Linux the kernel kills the child when its parent dies
// (PR_SET_PDEATHSIG). Everywhere, the child's stdin is a pipe whose other end only this process holds, so a
// child that ends when its stdin ends (as dtm-server does with DTM_DIE_WITH_STDIN=1) goes too. Neither
// reaches what the child itself starts.
package childproc
