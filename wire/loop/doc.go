// Package loop serves many sockets from one goroutine (Linux only: elsewhere there is no loop, and every connection has
// a goroutine that waits for it).
//
// What a connection does stays written as if it waited: it is a task, a coroutine of the loop. A task that waits for its
// socket, or for what a tick brings, is left at once for the next one that can go on, without the scheduler, another
// thread or a system call. The loop waits for all sockets together; it runs every task that can go on, and then ends the
// round, so that all they asked for shares one tick.
//
// A task must never wait for anything else. What may, runs outside: see Conn.Outside.
package loop
