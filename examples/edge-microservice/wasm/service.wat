;; The same small HTTP service as src/server.mjs, as a WebAssembly module: it says who
;; and where it is. It serves on port 8080 of the pod's address until it is asked to end.
;;
;;   GET /         JSON with the pod, its node, its address and how long it runs
;;   GET /healthz  200 "ok"
;;
;; service.wasm is this file as wat2wasm makes it.
(module
  (import "wasi_snapshot_preview1" "environ_sizes_get"
    (func $environ_sizes_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "environ_get"
    (func $environ_get (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "clock_time_get"
    (func $clock_time_get (param i32 i64 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "selvage_http" "listen" (func $listen (param i32) (result i32)))
  (import "selvage_http" "accept" (func $accept (param i32) (result i32)))
  (import "selvage_http" "method" (func $method (param i32 i32 i32) (result i32)))
  (import "selvage_http" "target" (func $target (param i32 i32 i32) (result i32)))
  (import "selvage_http" "respond"
    (func $respond (param i32 i32 i32 i32 i32 i32) (result i32)))

  (memory (export "memory") 4)
  ;; 0     scratch for sizes, times and the vector of fd_write
  ;; 64    words
  ;; 1024  method and target of a request
  ;; 4096  the answer, then a line of the log
  ;; 65536 the environment: pointers, then bytes
  (data (i32.const 64) "{\"service\":\"edge-microservice\",\"pod\":\"")
  (data (i32.const 128) "\",\"namespace\":\"")
  (data (i32.const 160) "\",\"node\":\"")
  (data (i32.const 192) "\",\"address\":\"")
  (data (i32.const 224) ":8080\",\"uptimeSeconds\":")
  (data (i32.const 256) ",\"requests\":")
  (data (i32.const 288) ",\"runtime\":\"wasm\"}\n")
  (data (i32.const 320) "POD_NAME=")
  (data (i32.const 336) "POD_NAMESPACE=")
  (data (i32.const 352) "NODE_NAME=")
  (data (i32.const 368) "HOST=")
  (data (i32.const 384) "content-type: application/json")
  (data (i32.const 416) "content-type: text/plain; charset=utf-8")
  (data (i32.const 464) "ok\n")
  (data (i32.const 472) "{\"error\":\"not found\",\"paths\":[\"/\",\"/healthz\"]}\n")
  (data (i32.const 528) "{\"error\":\"only GET is answered here\"}\n")
  (data (i32.const 576) "edge-microservice serves on port 8080\n")
  (data (i32.const 620) "edge-microservice ends\n")
  (data (i32.const 648) "/healthz")
  (data (i32.const 660) "GET")

  (global $end (mut i32) (i32.const 4096))
  (global $variables (mut i32) (i32.const 0))
  (global $started (mut i64) (i64.const 0))
  (global $requests (mut i64) (i64.const 0))

  (func $begin (global.set $end (i32.const 4096)))
  (func $length (result i32) (i32.sub (global.get $end) (i32.const 4096)))

  (func $append (param $from i32) (param $length i32)
    (memory.copy (global.get $end) (local.get $from) (local.get $length))
    (global.set $end (i32.add (global.get $end) (local.get $length))))

  (func $append_number (param $value i64)
    (if (i64.ge_u (local.get $value) (i64.const 10))
      (then (call $append_number (i64.div_u (local.get $value) (i64.const 10)))))
    (i32.store8 (global.get $end)
      (i32.add (i32.const 48) (i32.wrap_i64 (i64.rem_u (local.get $value) (i64.const 10)))))
    (global.set $end (i32.add (global.get $end) (i32.const 1))))

  (func $equal (param $a i32) (param $b i32) (param $length i32) (result i32)
    (loop $next
      (if (i32.eqz (local.get $length)) (then (return (i32.const 1))))
      (if (i32.ne (i32.load8_u (local.get $a)) (i32.load8_u (local.get $b)))
        (then (return (i32.const 0))))
      (local.set $a (i32.add (local.get $a) (i32.const 1)))
      (local.set $b (i32.add (local.get $b) (i32.const 1)))
      (local.set $length (i32.sub (local.get $length) (i32.const 1)))
      (br $next))
    (unreachable))

  ;; The value of a variable; its name is given with the equals sign.
  (func $append_variable (param $name i32) (param $length i32)
    (local $index i32) (local $at i32)
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $index) (global.get $variables)))
        (local.set $at (i32.load (i32.add (i32.const 65536)
          (i32.mul (local.get $index) (i32.const 4)))))
        (if (call $equal (local.get $at) (local.get $name) (local.get $length))
          (then
            (local.set $at (i32.add (local.get $at) (local.get $length)))
            (loop $byte
              (if (i32.load8_u (local.get $at))
                (then
                  (call $append (local.get $at) (i32.const 1))
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (br $byte))))
            (return)))
        (local.set $index (i32.add (local.get $index) (i32.const 1)))
        (br $next))))

  (func $now (result i64)
    (drop (call $clock_time_get (i32.const 1) (i64.const 1000000) (i32.const 8)))
    (i64.div_u (i64.load (i32.const 8)) (i64.const 1000000000)))

  (func $print (param $from i32) (param $length i32)
    (i32.store (i32.const 16) (local.get $from))
    (i32.store (i32.const 20) (local.get $length))
    (drop (call $fd_write (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 24))))

  (func $who_and_where
    (call $begin)
    (call $append (i32.const 64) (i32.const 38))
    (call $append_variable (i32.const 320) (i32.const 9))
    (call $append (i32.const 128) (i32.const 15))
    (call $append_variable (i32.const 336) (i32.const 14))
    (call $append (i32.const 160) (i32.const 10))
    (call $append_variable (i32.const 352) (i32.const 10))
    (call $append (i32.const 192) (i32.const 13))
    (call $append_variable (i32.const 368) (i32.const 5))
    (call $append (i32.const 224) (i32.const 23))
    (call $append_number (i64.sub (call $now) (global.get $started)))
    (call $append (i32.const 256) (i32.const 12))
    (call $append_number (global.get $requests))
    (call $append (i32.const 288) (i32.const 19)))

  (func $answer (param $request i32)
    (local $length i32)
    (global.set $requests (i64.add (global.get $requests) (i64.const 1)))
    (local.set $length (call $method (local.get $request) (i32.const 1024) (i32.const 16)))
    (if (i32.eqz (i32.and (i32.eq (local.get $length) (i32.const 3))
          (call $equal (i32.const 1024) (i32.const 660) (i32.const 3))))
      (then
        (drop (call $respond (local.get $request) (i32.const 405)
          (i32.const 384) (i32.const 30) (i32.const 528) (i32.const 38)))
        (return)))
    (local.set $length (call $target (local.get $request) (i32.const 1024) (i32.const 1024)))
    (if (i32.and (i32.eq (local.get $length) (i32.const 8))
          (call $equal (i32.const 1024) (i32.const 648) (i32.const 8)))
      (then
        (drop (call $respond (local.get $request) (i32.const 200)
          (i32.const 416) (i32.const 39) (i32.const 464) (i32.const 3)))
        (return)))
    (if (i32.ne (local.get $length) (i32.const 1))
      (then
        (drop (call $respond (local.get $request) (i32.const 404)
          (i32.const 384) (i32.const 30) (i32.const 472) (i32.const 47)))
        (return)))
    (call $who_and_where)
    (drop (call $respond (local.get $request) (i32.const 200)
      (i32.const 384) (i32.const 30) (i32.const 4096) (call $length))))

  (func (export "_start")
    (local $request i32)
    (drop (call $environ_sizes_get (i32.const 0) (i32.const 4)))
    (global.set $variables (i32.load (i32.const 0)))
    (drop (call $environ_get (i32.const 65536)
      (i32.add (i32.const 65536) (i32.mul (global.get $variables) (i32.const 4)))))
    (global.set $started (call $now))
    (if (call $listen (i32.const 8080)) (then (unreachable)))
    (call $print (i32.const 576) (i32.const 38))
    (block $closing
      (loop $next
        (local.set $request (call $accept (i32.const -1)))
        (br_if $closing (i32.lt_s (local.get $request) (i32.const 0)))
        (call $answer (local.get $request))
        (br $next)))
    (call $print (i32.const 620) (i32.const 23))))
