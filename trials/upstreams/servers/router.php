<?php
// For `php -S`: echoes what came, or answers in some way of PHP's.
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
header('Content-Type: text/plain');
if ($path === '/file.txt') return false;
if ($path === '/stream') {
    for ($i = 0; $i < 30; $i++) { echo "part $i\n"; flush(); usleep(3000); }
} elseif ($path === '/not-modified') {
    http_response_code(304);
    header('ETag: "x"');
} elseif ($path === '/nothing') {
    http_response_code(204);
} elseif ($path === '/unread') {
    http_response_code(403);
    echo 'not read';
} elseif ($path === '/moved') {
    header('Location: /elsewhere', true, 302);
} elseif ($path === '/broken') {
    throw new Exception('broken');
} elseif ($path === '/large') {
    for ($i = 0; $i < 20; $i++) echo str_repeat('x', 1000000);
} else {
    setcookie('a', '1');
    setcookie('b', '2');
    $body = file_get_contents('php://input');
    echo $_SERVER['REQUEST_METHOD'], ' ', $path, ' ', strlen($body), ' ', sha1($body), ' ', json_encode($_FILES ? array_keys($_FILES) : $_POST);
}
