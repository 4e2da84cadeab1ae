package main

import "syscall"

// endWithParent makes the system kill the nodes when this program is killed.
func endWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
